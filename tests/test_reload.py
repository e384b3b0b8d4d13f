"""A changed roles.toml comes into force, and the log has the warnings of `access-bot check`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bot.app import build_base
from bot.config.settings import NEEDS, load_settings
from bot.core.model import Source
from bot.process import reload_roles
from tests.builders import ENVIRON, policy_text
from tests.factories import KEYS


def test_the_names_of_warnings_are_in_the_log_once_for_each_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    roles = tmp_path / "roles.toml"
    roles.write_text(policy_text())
    environ = {
        **ENVIRON,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'access.db'}",
        "ACCESS_ROLES": str(roles),
        "ACCESS_SECRET_KEYS": ",".join(KEYS),
    }
    base = build_base(load_settings(environ, None, NEEDS["audit"]), Source.CLOCK)
    with closing(base.db) as db:
        db.migrate()
        reload_roles(base)
        assert caplog.messages == []
        roles.write_text(
            policy_text(shop_admin='max_renewals = 9\nrequesters = ["everyone", "@engineers"]')
        )
        for _ in range(5):
            reload_roles(base)
    (line,) = [line for line in caplog.messages if "access-bot check" in line]
    assert "many-renewals (1)" in line and "everyone-and-others (1)" in line
