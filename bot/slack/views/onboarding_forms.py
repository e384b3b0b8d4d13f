"""The forms in which a lead plans an onboarding and changes its mentor."""

from collections.abc import Mapping

from bot.core.rules import Bundle
from bot.operations.onboarding.describe_ramp import RampView
from bot.slack.blocks import (
    Block,
    Element,
    View,
    bullets,
    input_block,
    is_slack_id,
    modal,
    paragraph,
    plain,
    rich,
    section,
    spoken,
    text_input,
)
from bot.slack.ids import Action, Field, Modal
from bot.slack.views._onboarding_parts import (
    begun,
    bulleted,
    bundle_line,
    mentor_line,
    person,
    plan_lines,
)

MOST_BUNDLES = 100
"""Options of one select."""


def form(
    bundles: Mapping[str, Bundle],
    values: Mapping[str, str],
    preview: RampView | str | None,
) -> View:
    """The form of a lead. `preview` is the plan that the values would make, or why there is none
    yet."""
    if not bundles:
        words = "roles.toml has no bundles yet: write a [bundles.NAME] table, then plan with it."
        return modal(Modal.NOTICE, "Onboarding", [paragraph(spoken(words))], close="Close")
    blocks = [
        _select(Field.NEWCOMER, "Newcomer", "users_select", values, dispatch=True),
        text_input(
            Field.EMAIL,
            "E-mail, if they have not joined yet",
            optional=True,
            initial=values.get(Field.EMAIL, ""),
            max_length=200,
        ),
        _bundle_select(bundles, values),
        _select(Field.MENTOR, "Mentor", "users_select", values),
        _start_picker(values),
        *_preview(preview),
    ]
    return modal(Modal.ONBOARDING, "Plan an onboarding", blocks, "Start")


def _select(
    name: Field, label: str, kind: str, values: Mapping[str, str], dispatch: bool = False
) -> Block:
    action = Action.ONBOARDING_FORM if dispatch else name
    element: Element = {"type": kind, "action_id": str(action)}
    if is_slack_id(values.get(name, "")):
        element["initial_user"] = values[name]
    hint = {Field.MENTOR: "Opens stages. Without one, you are the mentor."}.get(name, "")
    block = input_block(name, label, element, hint, optional=True)
    return {**block, "dispatch_action": True} if dispatch else block


def _bundle_select(bundles: Mapping[str, Bundle], values: Mapping[str, str]) -> Block:
    options = {name: _option(bundle) for name, bundle in [*bundles.items()][:MOST_BUNDLES]}
    element: Element = {
        "type": "static_select",
        "action_id": str(Action.ONBOARDING_FORM),
        "placeholder": plain("What do they start as?", 150),
        "options": [*options.values()],
    }
    if (chosen := values.get(Field.BUNDLE, "")) in options:
        element["initial_option"] = options[chosen]
    return {**input_block(Field.BUNDLE, "Bundle", element), "dispatch_action": True}


def _option(bundle: Bundle) -> Element:
    return {
        "text": plain(bundle.title, 75),
        "value": bundle.name,
        "description": plain(bundle.name, 75),
    }


def _start_picker(values: Mapping[str, str]) -> Block:
    element: Element = {"type": "datetimepicker", "action_id": str(Action.ONBOARDING_FORM)}
    if values.get(Field.START, "").isdecimal():
        element["initial_date_time"] = int(values[Field.START])
    hint = "Empty means now, or when they join."
    block = input_block(Field.START, "Start", element, hint, optional=True)
    return {**block, "dispatch_action": True}


def _preview(preview: RampView | str | None) -> list[Block]:
    if preview is None:
        return [paragraph(["Choose newcomer and bundle to see the plan here."])]
    if isinstance(preview, str):
        return [paragraph(spoken(preview))]
    return [rich(section("The plan, as things are now:"), bullets(plan_lines(preview)))]


def started(view: RampView) -> View:
    """The view that replaces the form when the onboarding is stored."""
    return modal(
        Modal.NOTICE,
        "Onboarding",
        [
            paragraph(
                ["The onboarding of ", *person(view), f" {begun(view)}: ", *bundle_line(view)],
                mentor_line(view),
            ),
            *bulleted("The plan:", plan_lines(view)),
        ],
        close="Close",
    )


def mentor_form(view: RampView) -> View:
    """Asks a lead for another mentor."""
    element: Element = {"type": "users_select", "action_id": str(Field.MENTOR)}
    if is_slack_id(view.ramp.mentor):
        element["initial_user"] = view.ramp.mentor
    blocks = [
        paragraph(["Who helps ", *person(view), " from now on?"]),
        input_block(Field.MENTOR, "Mentor", element),
    ]
    shown = modal(Modal.MENTOR, "Change mentor", blocks, "Change")
    return {**shown, "private_metadata": view.ramp.id}
