"""Named keys: different for different names, and the same for ever."""

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jmer import keys

ROOT = keys.seed_key(0)


def data(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_codes_of_names_never_change():
    assert keys.name_code("dropout") == 688540699
    assert keys.name_code("") == 1120186595


def test_keys_never_change():
    assert data(keys.named(keys.seed_key(3), "sub01", "dropout", 7)) == (
        4164297654,
        3780909803,
    )


def test_names_order_and_steps_all_count():
    chains = [(), ("a",), ("b",), ("a", "b"), ("b", "a"), ("a", 0), ("a", 1), (0, "a")]
    chains += [("ab",), (0,), (1,), (0, 1), (1, 0)]
    assert len({data(keys.named(ROOT, *chain)) for chain in chains}) == len(chains)
    assert data(keys.named(keys.seed_key(1), "a")) != data(keys.named(ROOT, "a"))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), unique=True, min_size=2, max_size=7))
def test_any_names_differ(names):
    assert len({data(keys.named(ROOT, name)) for name in names}) == len(names)


def test_names_may_come_one_at_a_time():
    together = keys.named(ROOT, "sub01", "dropout", 5)
    one_by_one = keys.named(keys.named(keys.named(ROOT, "sub01"), "dropout"), 5)
    assert data(together) == data(one_by_one)


def test_traced_steps_and_mapped_keys_give_the_same_numbers():
    def named(key, step):
        return keys.named(key, "dropout", step)

    assert data(jax.jit(named)(ROOT, 5)) == data(named(ROOT, 5))
    roots = jax.numpy.stack([ROOT, keys.seed_key(11)])
    mapped = jax.vmap(named, in_axes=(0, None))(roots, 5)
    assert [data(k) for k in mapped] == [data(named(k, 5)) for k in roots]


def test_keys_are_of_one_kind_whatever_jax_is_set_to():
    with jax.default_prng_impl("rbg"):
        assert data(keys.named(keys.seed_key(3), "sub01", "dropout", 7)) == (
            4164297654,
            3780909803,
        )
