"""Rules of resources: which of them counts, and what is said of those that are wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskrunner.errors import ConfigError
from taskrunner.service.resources.rules import Resource, Rules, read_rules
from taskrunner.service.resources.targets import Target, Where


def resource(**given: Any) -> Resource:
    usual: dict[str, Any] = {"type": "Ec2Resource", "id": "Host", "pipeline": "daily", "tags": {}}
    return Resource(**{**usual, **given})


SAMPLE = """\
# Clusters have hosts of their own.
[[resources]]
type = "EmrCluster"
run = "group=hadoop"

[[resources]]
pipeline = "billing-*"
tag = "team=data*"
run = "group=billing"

[[resources]]
id = "Lone"
run = "none"

[[resources]]
run = "local"
"""


@pytest.mark.parametrize(
    ("given", "line", "said"),
    [
        ({"type": "EmrCluster"}, 2, "group=hadoop"),
        ({"type": "EmrCluster", "id": "Lone"}, 2, "group=hadoop"),
        ({"pipeline": "billing-1", "tags": {"team": "database"}}, 6, "group=billing"),
        ({"pipeline": "billing-1", "tags": {"team": "web"}}, 15, "local"),
        ({"pipeline": "billing", "tags": {"team": "data"}}, 15, "local"),
        ({"pipeline": "billing-1"}, 15, "local"),
        ({"id": "Lone"}, 11, "none"),
        ({"id": "lone"}, 15, "local"),
    ],
)
def test_the_first_rule_that_matches_counts(given: dict[str, Any], line: int, said: str) -> None:
    rule = read_rules(SAMPLE, "rules.toml").first(resource(**given))

    assert str(rule) == f"rules.toml:{line} ({said})"


def test_a_tag_without_a_value_has_to_be_there() -> None:
    rules = read_rules('[[resources]]\ntag = "here"\nrun = "local"\n', "f")

    assert rules.first(resource(tags={"here": ""})) is not None
    assert rules.first(resource(tags={"there": "here"})) is None


def test_without_a_rule_that_matches_it_is_said_where_one_is_missing() -> None:
    rules = read_rules('[[resources]]\nid = "x"\nrun = "local"\n', "/etc/rules.toml")

    assert rules.first(resource()) is None
    said = rules.unmatched(resource())
    assert "no rule of /etc/rules.toml says where Ec2Resource 'Host'" in said
    assert "'daily'" in said
    assert "--resources group=NAME" in Rules().unmatched(resource())


def test_a_last_rule_takes_what_others_leave() -> None:
    rules = Rules().otherwise("local", "the default")

    assert str(rules.first(resource())) == "the default (local)"
    assert rules.sends_to(Where.LOCAL)
    assert not rules.sends_to(Where.NONE)


@pytest.mark.parametrize(
    "text",
    [
        *("local", "none", "emr", "group=prod", "group=a b=c", "emr-serverless=00a1,00b2"),
        *("spark=spark://master:7077", "spark=yarn", "spark=k8s://https://h:6443"),
    ],
)
def test_targets_are_written_as_they_are_read(text: str) -> None:
    assert str(Target.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "groop=x",
            "found 'groop=x', wanted group=NAME, local, ec2, emr, emr-serverless=ID, spark",
        ),
        ("Local", "wanted group=NAME"),
        ("local=x", "wanted group=NAME"),
        ("group", "wanted group=NAME"),
        ("group=", "wanted group=NAME, the name of a worker group"),
        ("group= x", "wanted group=NAME, the name"),
        ("group=x\ny", "wanted group=NAME, the name"),
        ("group=" + "x" * 1025, "in 1 to 1024 characters"),
        ("group=resource:df-1_@R", "worker groups of managed resources"),
        ("emr=x", "found 'emr=x', wanted group=NAME, local, ec2, emr, emr-serverless=ID"),
        ("emr-serverless", "found 'emr-serverless', wanted emr-serverless=ID, an application's id"),
        ("emr-serverless=00A", "wanted emr-serverless=ID"),
        ("emr-serverless=a,b,c", "or two with a comma: one of Spark, one of Hive"),
        ("spark", "wanted spark=MASTER: spark://HOST:PORT, yarn or k8s://URL"),
        ("spark=local[*]", "wanted spark=MASTER"),
        ("spark=mesos://h", "wanted spark=MASTER"),
        ("spark=spark://h#x", "wanted spark=MASTER"),
        ("", "wanted group=NAME"),
    ],
)
def test_a_target_that_is_wrong_is_told_with_what_is_wanted(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Target.parse(text)


def test_instances_are_made_only_for_what_is_one_on_aws() -> None:
    for rules in (
        read_rules('[[resources]]\nrun = "ec2"\n\n[[resources]]\nrun = "none"\n', "f"),
        Rules.everywhere("ec2", "--resources").otherwise("none", "--resources"),
    ):
        met = [rules.first(resource(type=name)) for name in ("Ec2Resource", "EmrCluster")]
        assert [rule and rule.target.where for rule in met] == [Where.EC2, Where.NONE]
    clusters = Rules.everywhere("emr", "--resources").otherwise("none", "--resources")
    met = [clusters.first(resource(type=name)) for name in ("Ec2Resource", "EmrCluster")]
    assert [rule and rule.target.where for rule in met] == [Where.NONE, Where.EMR]


def test_a_cluster_is_used_by_agents_of_a_group_or_by_one_that_is_started_here() -> None:
    rules = read_rules('[[resources]]\nrun = "emr"\nagents = "hadoop"\n', "f")
    target = rules.rules[0].target
    assert (target.where, target.group) == (Where.EMR, "hadoop")
    assert str(target) == "emr, by agents of 'hadoop'"
    assert not rules.want_agents_here
    assert Rules.everywhere("emr", "--resources").want_agents_here


RULE = '[[resources]]\nrun = "local"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[resources]\n", "rules.toml: not valid TOML"),
        ("", "rules.toml: wanted at least one table [[resources]]"),
        ("resources = []", "rules.toml: wanted at least one table"),
        ('[resources]\nrun = "local"', "rules.toml: wanted at least one table [[resources]]"),
        ("resources = [1]", "rules.toml, rule 1: found 1, wanted a table with type, id,"),
        (f"other = 1\n{RULE}", "rules.toml: found 'other', wanted only tables [[resources]]"),
        (
            '[[resources]]\n\ntype = "EMRCluster"\nrun = "local"',
            "rules.toml:3: type: found 'EMRCluster', wanted Ec2Resource or EmrCluster",
        ),
        ('[[resources]]\nname = "x"\nrun = "local"', "rules.toml:2: found 'name', wanted one of"),
        ('[[resources]]\nid = "x"', "rules.toml:1: says not where: wanted run = 'group=NAME'"),
        ('[[resources]]\nid = 3\nrun = "local"', "rules.toml:2: id: found 3, wanted a text"),
        ('[[resources]]\nid = ""\nrun = "local"', "rules.toml:2: id: found '', wanted a text"),
        ('[[resources]]\ntag = "=x"\nrun = "local"', "rules.toml:2: tag: found '=x', wanted KEY"),
        (
            '[[resources]]\nid = "x"\nrun = "group=a"\n\n[[resources]]\nrun = "spark"',
            "rules.toml:6: run: found 'spark', wanted spark=MASTER",
        ),
        (
            '[[resources]]\ntype = "Ec2Resource"\nrun = "emr"',
            "rules.toml:2: type: found 'Ec2Resource', but emr is only for an EmrCluster",
        ),
        (
            '[[resources]]\nrun = "local"\nagents = "hadoop"',
            "rules.toml:3: agents: found 'hadoop', but local says who does the work already",
        ),
        (
            '[[resources]]\nrun = "emr"\nrole = "arn:aws:iam::123456789012:role/x"',
            "rules.toml:3: role: found 'arn:aws:iam::123456789012:role/x', but only jobs of emr-s",
        ),
        (
            '[[resources]]\nrun = "emr-serverless=00a"\nrole = "jobs"',
            "rules.toml:3: role: found 'jobs', wanted arn:aws:iam::ACCOUNT:role/NAME",
        ),
        (
            '[[resources]]\nrun = "emr"\nagents = "resource:x"',
            "rules.toml:3: agents: found 'resource:x', but 'resource:' begins the worker groups",
        ),
        (
            '[[resources]]\nrun = "ec2"\ntype = "EmrCluster"',
            "rules.toml:3: type: found 'EmrCluster', but ec2 is only for an Ec2Resource",
        ),
        (
            f'{RULE}[[resources]]\nid = "x"\nrun = "none"',
            "rules.toml:3: never has its turn, since rules.toml:1 (local) matches all",
        ),
        (
            '[[resources]]\nid = "x"\nrun = "none"\n[[resources]]\nid = "x"\nrun = "local"',
            "rules.toml:4: never has its turn, since rules.toml:1 (none)",
        ),
        # Tables that are written otherwise are told by their number.
        ('resources = [{id = "x", run = "x"}]', "rules.toml, rule 1: run: found 'x'"),
        ('[[resources]]\nid = """\n[[resources]]\n"""\nrun = "x"', "rules.toml, rule 1: run:"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_rules(text, "rules.toml")


def test_one_target_is_a_rule_for_all() -> None:
    rules = Rules.everywhere("group=prod", "--resources")

    assert str(rules.first(resource())) == "--resources (group=prod)"
