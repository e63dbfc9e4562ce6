"""The heaviest keys in bounded memory, against a plain count of all."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dataops.workbook.heaviest import Heaviest, Load

keys = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=300)


def filled(pairs, room):
    heaviest = Heaviest(room)
    for key, units in pairs:
        heaviest.add(b"%d" % key, Load(units, 10 * units, 1), {"N": str(key)})
    return heaviest


@given(keys)
def test_few_keys_are_counted_exactly(pairs):
    heaviest, counted = filled(pairs, room=100), Counter()
    for key, units in pairs:
        counted[key] += units
    assert heaviest.exact
    assert heaviest.distinct == len(counted)
    assert (heaviest.hottest().load.units if pairs else 0) == max(counted.values(), default=0)


@given(keys)
def test_many_keys_are_never_told_too_low(pairs):
    heaviest, counted = filled(pairs, room=3), Counter()
    for key, units in pairs:
        counted[key] += units
    assert heaviest.distinct <= 6
    assert (heaviest.hottest().load.units if pairs else 0) >= max(counted.values(), default=0)
    assert heaviest.exact or len(counted) > 3
