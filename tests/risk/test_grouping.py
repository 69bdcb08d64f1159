"""Alerts in groups: pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import Severity
from risk.domain.grouping import Seen, grouped

WARNING = Severity.WARNING
SEEN = st.builds(
    Seen,
    id=st.integers(1, 10**6),
    code=st.sampled_from(["a", "b", "c"]),
    severity=st.sampled_from(list(Severity)),
    subject=st.sampled_from(["x", "y", "z"]),
    at_ms=st.integers(0, 50),
    is_silent=st.booleans(),
)


@given(st.lists(SEEN, max_size=40, unique_by=lambda one: one.id))
def test_groups_hold_each_alert_once_and_the_gravest_stand_first(alerts):
    groups = grouped(alerts)

    assert sorted(one.id for group in groups for one in group.alerts) == sorted(one.id for one in alerts)
    assert len({group.code for group in groups}) == len(groups)
    for group in groups:
        assert {one.code for one in group.alerts} == {group.code}
        assert group.newest_ms == max(one.at_ms for one in group.alerts)
        assert set(group.subjects) == {one.subject for one in group.alerts}
        assert group.silent == sum(one.is_silent for one in group.alerts)
    heads = [(g.alerts[0].is_silent, g.severity is WARNING, -g.newest_ms) for g in groups]
    assert heads == sorted(heads)
    whole = [[(o.is_silent, o.severity is WARNING, -o.at_ms) for o in g.alerts] for g in groups]
    assert whole == [sorted(one) for one in whole]
