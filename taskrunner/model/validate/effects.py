"""Fields that nothing here honours, and types that nobody can carry out where they are to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskrunner.model.catalog.effects import EVERY_WAY, Effect, Way, effect_of, runners_of, said
from taskrunner.model.document import Definition
from taskrunner.model.validate.context import Context, Findings, Item
from taskrunner.model.validate.finding import Finding


def check_effects(context: Context) -> None:
    """Warn of fields without effect; with a target, find types that nobody there can run."""
    ways = EVERY_WAY if context.target is None else context.target.ways
    _note_fields(context, dict.fromkeys((item.id for item in context.items), ways))
    if context.target is None:
        return
    for item in context.items:
        if item.type is None or runners_of(item.type.name) & ways:
            continue
        message = (
            f"nobody can run a {item.type.name} at the target {context.target.value!r}; it runs "
            f"by: {said(runners_of(item.type.name))}"
        )
        context.note("cannot-run", message, item, "type")


def findings_of_places(
    definition: Definition, ways: Mapping[str, frozenset[Way]]
) -> tuple[Finding, ...]:
    """Warnings about fields that have an effect somewhere, but not where these objects run.

    `ways` says of some objects, by id, what stands behind them; the definition is a valid one.
    """
    context = Context(definition, findings=Findings())
    _note_fields(context, ways, only_here=True)
    return context.findings.report().warnings


@dataclass(slots=True)
class _Place:
    """A field where it is written, and what it does for the objects that have it."""

    item: Item
    key: str
    lost: Effect | None = None
    is_honoured: bool = False


def _note_fields(
    context: Context, ways: Mapping[str, frozenset[Way]], *, only_here: bool = False
) -> None:
    """Warn of fields that do nothing for any object that has them.

    `only_here` leaves out what does nothing anywhere.
    """
    holders = {id(one): item for item in context.items for one in item.own.fields}
    places: dict[tuple[str, str], _Place] = {}
    for item in context.items:
        if item.type is None:
            continue
        its_ways = ways.get(item.id, EVERY_WAY)
        for key in item.keys:
            effect = effect_of(item.type.name, key)
            holder = holders.get(id(item.first(key)), item)
            if effect is None or (holder.type is not None and holder is not item):
                continue  # a typed parent's own fields are told of there
            texts = [context.known(value) for value in item.values(key) if isinstance(value, str)]
            place = places.setdefault((holder.id, key), _Place(holder, key))
            if effect.of(texts, its_ways):
                place.is_honoured = True
            elif not only_here or effect.of(texts):
                place.lost = place.lost or effect
    for place in places.values():
        if place.lost is not None and not place.is_honoured:
            context.note("no-effect", place.lost.message, place.item, place.key)
