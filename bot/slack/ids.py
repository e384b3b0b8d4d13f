"""The names that Slack hands back to us: actions, views, shortcuts and input blocks. They are
stored in posted messages for as long as those exist, so a name is never given a new meaning.
"""

from enum import StrEnum


class Action(StrEnum):
    """`action_id` of everything that can be pressed or chosen; a button's value is the id of one
    row, or a cursor."""

    APPROVE = "approve"
    DENY = "deny"
    EDIT = "edit"
    DETAILS = "details"
    DISALLOW = "disallow"
    SHOW_CREDENTIALS = "show_credentials"
    OPEN_IN_BROWSER = "open_in_browser"
    RENEW = "renew"
    DONE = "done"
    CANCEL = "cancel"
    REQUEST = "request"
    CHOOSE_ROLE = "choose_role"
    REVOKE = "revoke"
    REVOKE_GIVEN = "revoke_given"
    AUDIT_OLDER = "audit_older"
    MORE = "more"
    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_ALL = "acknowledge_all"
    REMOVE_ORPHAN = "remove_orphan"
    ASK_AGAIN = "ask_again"
    HOME_PAGE = "home_page"
    HOME_FIRST = "home_first"
    CHOOSE_EMERGENCY_ROLE = "choose_emergency_role"
    SIGN_REVIEW = "sign_review"
    END_EMERGENCY = "end_emergency"
    PLAN_ONBOARDING = "plan_onboarding"
    ONBOARDING_FORM = "onboarding_form"
    OPEN_STAGE = "open_stage"
    PAUSE_RAMP = "pause_ramp"
    RESUME_RAMP = "resume_ramp"
    CHANGE_MENTOR = "change_mentor"
    END_RAMP = "end_ramp"
    BACK = "back"
    REVIEW = "review"
    REVIEW_PAGE = "review_page"
    REVIEW_FIRST = "review_first"
    FLAG_EXPECTED = "flag_expected"
    FLAG_INVESTIGATE = "flag_investigate"
    FLAG_REVOKE = "flag_revoke"
    FEEDBACK_USED = "feedback_used"
    FEEDBACK_UNNEEDED = "feedback_unneeded"
    FEEDBACK_MORE = "feedback_more"


class Modal(StrEnum):
    """`callback_id` of every view that can be submitted."""

    REQUEST = "request_modal"
    DENY = "deny_modal"
    EDIT = "edit_modal"
    REVOKE = "revoke_modal"
    CREDENTIALS = "credentials_modal"
    EMERGENCY = "emergency_modal"
    SIGN_REVIEW = "sign_review_modal"
    ONBOARDING = "onboarding_modal"
    MENTOR = "mentor_modal"
    REVIEW = "review_modal"
    FLAG_EXPECTED = "flag_expected_modal"
    NOTICE = "notice_modal"


class Shortcut(StrEnum):
    """`callback_id` of the shortcuts, as the manifest declares them."""

    REQUEST = "request_access"
    REQUEST_FOR_MESSAGE = "request_access_from_message"


class Field(StrEnum):
    """`block_id` of every input; the element in it has the same name as its `action_id`, except for
    the role's select, which is CHOOSE_ROLE or CHOOSE_EMERGENCY_ROLE, and for the inputs that change
    the preview of an onboarding, which are ONBOARDING_FORM. A Refused uses these names for its
    `field`."""

    ROLE = "role"
    DURATION = "duration"
    REASON = "reason"
    TICKET = "ticket"
    START = "start"
    SYSTEMS = "systems"
    ACTIONS = "actions"
    DRILL = "drill"
    CONCLUSION = "conclusion"
    NEWCOMER = "newcomer"
    EMAIL = "email"
    BUNDLE = "bundle"
    MENTOR = "mentor"
    ITEMS = "items"
    EVERY = "every"
    DECISION = "decision"
