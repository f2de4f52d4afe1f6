"""`taskrunner uninstall-service`: take a systemd unit away again."""

from __future__ import annotations

import click

from taskrunner.installer import carry_out as installer
from taskrunner.installer.plan import Target, uninstall_plan


@click.command(
    help="Stop a unit that install-service made, which drains it, and remove it. Settings and "
    "state stay, unless you --purge them; users stay in any case."
)
@click.option("--instance", metavar="NAME", help="The unit taskrunner@NAME.")
@click.option("--serve", is_flag=True, help="The service's unit in place of the agent's.")
@click.option("--purge", is_flag=True, help="Remove its settings, logs and journal too.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def command(instance: str | None, *, serve: bool, purge: bool, dry_run: bool) -> int:
    """Carry out the plan."""
    target = Target(instance=instance, serve=serve)
    may = installer.check_host([installer.require_root_and_systemd], dry_run=dry_run)
    steps = uninstall_plan(target, installer.host_facts(), purge=purge)
    installer.Installer(dry_run=dry_run).carry_out(steps)
    return 0 if may else 1
