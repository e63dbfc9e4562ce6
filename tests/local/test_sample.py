"""The sample shop: the same every time, holding what really hurts."""

import pytest

from dataops.local.sample import TABLES, change_sample, write_sample
from dataops.workbook.demo import open_server


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def count(connection, rows):
    return ask(connection, f"SELECT COUNT(*) FROM {rows}")[0][0]


@pytest.fixture
def shops(stack):
    """Two empty databases to write the sample into."""
    made = []
    with open_server(stack.info.source) as connection:
        for name in ("shop_one", "shop_two"):
            ask(connection, f"DROP DATABASE IF EXISTS {name}")
            ask(connection, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            made.append(open_server(stack.info.source, name))
    yield made
    for shop in made:
        shop.close()


def checksums(shop):
    return [ask(shop, f"CHECKSUM TABLE {table} EXTENDED")[0][1] for table in TABLES]


def test_it_is_the_same_every_time_before_and_after_the_next_day(shops):
    counts = [write_sample(shop) for shop in shops]
    assert counts[0] == counts[1]
    assert 19_000 <= sum(counts[0].values()) <= 21_000
    assert checksums(shops[0]) == checksums(shops[1])
    before = checksums(shops[0])
    ask(shops[1], "SET time_zone = '+09:00', sql_mode = ''")
    assert change_sample(shops[0]) == change_sample(shops[1])
    assert checksums(shops[0]) == checksums(shops[1]) != before


def test_the_next_day_counts_what_it_did_to_each_table(shops):
    shop = shops[0]
    rows = write_sample(shop)
    cleared = count(shop, "customers WHERE memo = ''")
    old = count(
        shop, "order_items WHERE order_id IN (SELECT order_id FROM (SELECT order_id FROM orders ORDER BY 1 LIMIT 30) o)"
    )
    changes = change_sample(shop)
    assert changes.customers == (0, count(shop, "customers WHERE memo = ''") - cleared, 0) == (0, 40, 0)
    assert changes.orders == (120, 80, 30)
    assert changes.order_items.deleted == old
    for table, done in changes._asdict().items():
        assert count(shop, table) == rows[table] + done.added - done.deleted
    assert (changes.added, changes.changed, changes.deleted) == (120 + changes.order_items.added, 120, 30 + old)
    assert count(shop, "order_items i LEFT JOIN orders o USING (order_id) WHERE o.order_id IS NULL") == 0


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("customers", "customer_id > 9223372036854775807"),
        ("customers", "memo = ''"),
        ("customers", "memo IS NULL"),
        ("customers", "memo LIKE '%🎁%'"),
        ("customers", "preferences IS NOT NULL"),
        ("customers", "NOT is_active"),
        ("orders", "delivery_time > '24:00:00'"),
        ("orders", "MICROSECOND(ordered_at) > 0"),
        ("orders", "coupon = ''"),
        ("orders", "gift"),
        ("order_items", "product_name = ''"),
        ("order_items", "thumbnail IS NOT NULL"),
        ("order_items", "gift_message = ''"),
    ],
)
def test_it_holds_what_really_hurts(stack, table, condition):
    with open_server(stack.info.source) as shop:
        assert ask(shop, f"SELECT COUNT(*) FROM {table} WHERE {condition}")[0][0] > 0


def test_totals_are_the_sum_of_their_lines(stack):
    sql = """SELECT COUNT(*) FROM orders o JOIN (SELECT order_id, SUM(quantity * unit_price) net FROM order_items GROUP BY 1) i
        USING (order_id) WHERE o.total <> ROUND(i.net * (1 + o.tax_rate), 2)"""
    with open_server(stack.info.source) as shop:
        assert ask(shop, sql)[0][0] == 0
