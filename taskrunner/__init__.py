"""taskrunner: AWS Data Pipeline's agent and service, self-hosted."""

__version__ = "0.1.0"
