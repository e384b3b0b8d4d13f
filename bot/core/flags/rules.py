"""All flag rules, in the order in which they are checked."""

from collections.abc import Mapping

from bot.core.flags import decision_rules, request_rules, use_rules
from bot.core.flags.rule import Rule

RULES: Mapping[str, Rule] = {
    each.name: each
    for each in (
        use_rules.unexplained_access,
        use_rules.used_after_end,
        decision_rules.emergency_used,
        decision_rules.emergency_open,
        decision_rules.policy_weakened,
        request_rules.burst_of_requests,
        request_rules.asked_wider_after_denial,
        request_rules.nagging,
        decision_rules.approving_each_other,
        decision_rules.approved_in_seconds,
        use_rules.unusual_hour,
        use_rules.new_network,
        use_rules.two_places_at_once,
        use_rules.many_credentials,
        decision_rules.many_ended,
        request_rules.first_time,
        request_rules.dormant,
        use_rules.granted_never_used,
    )
}
