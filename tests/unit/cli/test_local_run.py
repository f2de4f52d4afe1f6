"""What the agents of a run on this machine are told."""

from __future__ import annotations

from pathlib import Path

from taskrunner.cli.local_run import agent_environment
from taskrunner.config.load import load

OF_THE_INSTALLED_AGENT = {
    "TASKRUNNER_CONFIG": "/etc/taskrunner/taskrunner.toml",
    "TASKRUNNER_RUN_AS_USER": "dp",
    "TASKRUNNER_ALLOW_TYPES": "SqlActivity",
    "TASKRUNNER_ENDPOINT": "https://service.example",
    "TASKRUNNER_SECRET_KEY_FILE": "/etc/taskrunner/secret",
}


def _told(config: Path, **environ: str) -> dict[str, str]:
    databases = {"Db": "mysql://u:p@h/d"}
    return agent_environment(environ, url="http://here/key", databases=databases, config=config)


def test_a_runs_agents_do_not_have_the_settings_of_the_agent_that_is_installed(
    tmp_path: Path,
) -> None:
    config = tmp_path / "agent.toml"
    config.touch()
    told = _told(config, **OF_THE_INSTALLED_AGENT, AWS_REGION="eu-west-1")
    loaded = load({"worker_group": ("wg",)}, told)
    given = {name: origin for name, origin in loaded.origins.items() if origin != "default"}
    assert given == {
        "worker_group": "--worker-group",
        "endpoint": "TASKRUNNER_ENDPOINT",
        "databases": "TASKRUNNER_DATABASES",
        "progress_interval": "TASKRUNNER_PROGRESS_INTERVAL",
        "allow_root": "TASKRUNNER_ALLOW_ROOT",
        "pass_env": "TASKRUNNER_PASS_ENV",
        "region": "AWS_REGION",
    }
    assert loaded.settings.endpoint == "http://here/key"
    assert loaded.settings.databases == {"Db": "mysql://u:p@h/d"}


def test_what_the_caller_passes_on_and_whose_task_it_is_stays(tmp_path: Path) -> None:
    told = _told(tmp_path, TASKRUNNER_PASS_ENV="MY_*", TASKRUNNER_ATTEMPT="token", MY_OWN="x")
    assert (told["TASKRUNNER_PASS_ENV"], told["MY_OWN"]) == ("MY_*,HOME", "x")
    assert told["TASKRUNNER_ATTEMPT"] == "token"
