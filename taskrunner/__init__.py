"""taskrunner: AWS Data Pipeline's agent and service, self-hosted."""

__version__ = "0.1.0"
#: What pip calls it: on PyPI, `taskrunner` is somebody else's package.
DISTRIBUTION = "taskrunner-agent"
