"""Counts calls against Slack's rate limits, with a bucket for each app and method, and for
each channel if Slack has one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bot.sandbox.rules import METHODS, TIERS, Rate


@dataclass
class RateLimits:
    """Token buckets. `overrides` maps a method to (per_minute, burst) instead of its tier."""

    on: bool = True
    overrides: dict[str, Rate] = field(default_factory=dict)
    buckets: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)

    def wait(self, method: str, key: str, now: float, app: str = "") -> int:
        """Takes one call of an app; 0 is go ahead, else the whole seconds for Retry-After."""
        if not self.on:
            return 0
        tier = METHODS[method].tier
        rate = self.overrides.get(method, TIERS[tier])
        bucket = (app, method, key if tier == "channel" else "")
        level, at = self.buckets.get(bucket, (float(rate.burst), now))
        level = min(float(rate.burst), level + (now - at) * rate.per_minute / 60)
        self.buckets[bucket] = (level - 1 if level >= 1 else level, now)
        return 0 if level >= 1 else max(1, math.ceil((1 - level) * 60 / rate.per_minute))
