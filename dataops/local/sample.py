"""The sample: a small Japanese web shop, the same to the last byte every time, holding what really hurts.

Empty strings beside NULLs, emoji, money, times beyond a day, microseconds, JSON, unsigned 64-bit numbers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pymysql.connections import Connection

CUSTOMERS, ORDERS = 2000, 6000
SEED = 20261123
OPENED = datetime(2025, 4, 1, 9)
FIRST_ORDER_NUMBER = 100_001

SCHEMA = (
    """CREATE TABLE customers (
        customer_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        email VARCHAR(190) NOT NULL UNIQUE,
        name VARCHAR(60) NOT NULL,
        name_kana VARCHAR(60),
        birthday DATE,
        prefecture VARCHAR(20) NOT NULL,
        memo TEXT,
        preferences JSON,
        points INT NOT NULL DEFAULT 0,
        loyalty_rate DOUBLE,
        is_active TINYINT(1) NOT NULL DEFAULT 1,
        created_at DATETIME(6) NOT NULL
    )""",
    """CREATE TABLE orders (
        customer_id BIGINT UNSIGNED NOT NULL,
        order_id INT UNSIGNED NOT NULL,
        status ENUM('pending', 'paid', 'shipped', 'delivered', 'cancelled') NOT NULL,
        ordered_at DATETIME(6) NOT NULL,
        delivery_time TIME,
        total DECIMAL(12,2) NOT NULL,
        tax_rate DECIMAL(5,4) NOT NULL,
        coupon VARCHAR(20),
        note VARCHAR(255),
        gift BIT(1) NOT NULL DEFAULT b'0',
        updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        PRIMARY KEY (customer_id, order_id),
        UNIQUE KEY by_order (order_id),
        CONSTRAINT order_customer FOREIGN KEY (customer_id) REFERENCES customers (customer_id)
    )""",
    """CREATE TABLE order_items (
        order_id INT UNSIGNED NOT NULL,
        line_no SMALLINT UNSIGNED NOT NULL,
        sku VARCHAR(32) NOT NULL,
        product_name VARCHAR(120) NOT NULL,
        quantity INT NOT NULL,
        unit_price DECIMAL(10,2) NOT NULL,
        weight_kg FLOAT,
        thumbnail VARBINARY(64),
        options JSON,
        gift_message VARCHAR(200),
        PRIMARY KEY (order_id, line_no, sku),
        CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (order_id)
    )""",
)
TABLES = ("customers", "orders", "order_items")

FAMILY = [("佐藤", "サトウ", "sato"), ("鈴木", "スズキ", "suzuki"), ("高橋", "タカハシ", "takahashi"),
          ("田中", "タナカ", "tanaka"), ("伊藤", "イトウ", "ito"), ("渡辺", "ワタナベ", "watanabe"),
          ("山本", "ヤマモト", "yamamoto"), ("中村", "ナカムラ", "nakamura"), ("小林", "コバヤシ", "kobayashi"),
          ("加藤", "カトウ", "kato"), ("吉田", "ヨシダ", "yoshida"), ("山田", "ヤマダ", "yamada"),
          ("髙﨑", "タカサキ", "takasaki"), ("齋藤", "サイトウ", "saito"), ("渡邉", "ワタナベ", "watanabe2")]  # fmt: skip
GIVEN = [("陽菜", "ヒナ", "hina"), ("蓮", "レン", "ren"), ("結衣", "ユイ", "yui"), ("湊", "ミナト", "minato"),
         ("凛", "リン", "rin"), ("大翔", "ヒロト", "hiroto"), ("さくら", "サクラ", "sakura"), ("樹", "イツキ", "itsuki"),
         ("美咲", "ミサキ", "misaki"), ("翔太", "ショウタ", "shota"), ("𠮷彦", "ヨシヒコ", "yoshihiko")]  # fmt: skip
PREFECTURES = [
    "東京都",
    "神奈川県",
    "大阪府",
    "愛知県",
    "埼玉県",
    "千葉県",
    "兵庫県",
    "北海道",
    "福岡県",
    "京都府",
    "沖縄県",
]
MEMOS = [
    "お得意様 🎁",
    "配送は午前中を希望",
    "住所変更済み\n2025年8月に確認",
    "電話連絡不可 📵",
    "",
    "",
    None,
    None,
    None,
    "O'Brien & <b>Söhne</b>",
]
COUPONS = ["", "", None, None, None, None, "SPRING10", "初回500円", "THANKS🎉"]
NOTES = [
    None,
    None,
    None,
    "",
    "置き配でお願いします 📦",
    "領収書の宛名は「株式会社〜」で",
    "午後、できれば18時以降",
    "ギフト包装 🎀  ",
]
PRODUCTS = [("有機ほうじ茶 100g", "1280.00", 0.12), ("南部鉄器 急須", "8800.00", 1.35), ("今治タオル 2枚組", "3300.00", 0.4),
            ("曲げわっぱ弁当箱", "9680.00", 0.21), ("信州そば 5束", "1620.00", 0.55), ("ワイヤレスイヤホン", "12800.00", 0.048),
            ("檜のまな板", "5500.00", 0.9), ("手ぬぐい 麻の葉", "990.00", 0.035), ("抹茶カヌレ 6個入", "2160.00", 0.3),
            ("和紙ノート A5", "1100.00", 0.18), ("", "0.00", None), ("LED提灯 🏮", "4400.00", 0.7)]  # fmt: skip
GIFTS = [None, None, None, None, "", "お誕生日おめでとう🎂", "いつもありがとう"]
STATUSES = ["delivered"] * 12 + ["shipped"] * 3 + ["paid"] * 3 + ["pending"] + ["cancelled"]


class TableChanges(NamedTuple):
    """Rows that a day of business added to a table, changed in it and deleted from it."""

    added: int
    changed: int
    deleted: int


class Changes(NamedTuple):
    """What a day of business did to each table, and in all."""

    customers: TableChanges
    orders: TableChanges
    order_items: TableChanges

    @property
    def added(self) -> int:
        """Rows added in all tables."""
        return sum(table.added for table in self)

    @property
    def changed(self) -> int:
        """Rows changed in all tables."""
        return sum(table.changed for table in self)

    @property
    def deleted(self) -> int:
        """Rows deleted from all tables."""
        return sum(table.deleted for table in self)


def write_sample(connection: Connection) -> dict[str, int]:
    """Create and fill the three tables in the connection's database; gives rows by table."""
    chance = random.Random(SEED)  # noqa: S311 - sample data
    customers = [_customer(chance, number) for number in range(CUSTOMERS)]
    orders, items = _orders(chance, customers, FIRST_ORDER_NUMBER, ORDERS)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'")
        for statement in SCHEMA:
            cursor.execute(statement)
    rows: dict[str, Sequence[Any]] = {"customers": customers, "orders": orders, "order_items": items}
    for table in TABLES:
        _insert(connection, table, rows[table])
    connection.commit()
    return {table: len(rows[table]) for table in TABLES}


def change_sample(connection: Connection) -> Changes:
    """The next day: new orders, new states, memos cleared, old orders deleted with their items."""
    chance = random.Random(SEED + 1)  # noqa: S311
    last = FIRST_ORDER_NUMBER + 30
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'")
        cursor.execute("SELECT customer_id FROM customers ORDER BY customer_id LIMIT 100")
        buyers = [(int(row[0]),) for row in cursor.fetchall()]
        orders, items = _orders(chance, buyers, FIRST_ORDER_NUMBER + ORDERS, 120)
        shipped = cursor.execute(
            "UPDATE orders SET status = 'shipped', updated_at = '2026-11-23 00:00:00.250' WHERE status = 'paid' "
            "ORDER BY order_id LIMIT 80"
        )
        cleared = cursor.execute("UPDATE customers SET memo = '' WHERE memo <> '' ORDER BY customer_id LIMIT 40")
        items_gone = cursor.execute("DELETE FROM order_items WHERE order_id < %s", (last,))
        orders_gone = cursor.execute("DELETE FROM orders WHERE order_id < %s", (last,))
    _insert(connection, "orders", orders)
    _insert(connection, "order_items", items)
    connection.commit()
    return Changes(
        TableChanges(0, cleared, 0),
        TableChanges(len(orders), shipped, orders_gone),
        TableChanges(len(items), 0, items_gone),
    )


def _customer(chance: random.Random, number: int) -> tuple[Any, ...]:
    family, given = chance.choice(FAMILY), chance.choice(GIVEN)
    customer_id = 18_446_744_073_709_551_615 - number if number % 100 == 99 else 10_001 + number
    kana = chance.choice([f"{family[1]} {given[1]}", f"{family[1]} {given[1]}", "", None])
    born = date(1950, 1, 1) + timedelta(days=chance.randrange(20_000)) if chance.random() < 0.8 else None
    wishes = {"言語": "ja", "通知": chance.random() < 0.5, "サイズ": chance.choice(["S", "M", "L"])}
    preferences = json.dumps(wishes, ensure_ascii=False) if chance.random() < 0.6 else None
    rate = chance.choice([None, 0.1, 1 / 3, 2.5e-5, chance.random()])
    created = OPENED + timedelta(seconds=chance.randrange(31_000_000), microseconds=chance.randrange(1_000_000))
    return (
        customer_id, f"{given[2]}.{family[2]}{number:04d}@example.jp", f"{family[0]} {given[0]}", kana, born,
        chance.choice(PREFECTURES), chance.choice(MEMOS), preferences, chance.randrange(0, 50_000), rate,
        int(chance.random() < 0.96), created,
    )  # fmt: skip


def _orders(
    chance: random.Random, customers: Sequence[Any], first: int, count: int
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    orders: list[tuple[Any, ...]] = []
    items: list[tuple[Any, ...]] = []
    for order_id in range(first, first + count):
        lines = [_item(chance, order_id, line) for line in range(1, chance.choice([1, 1, 2, 2, 2, 3, 3]) + 1)]
        tax = chance.choice([Decimal("0.1000"), Decimal("0.0800")])
        net = sum((line[4] * line[5] for line in lines), Decimal(0))
        ordered = OPENED + timedelta(seconds=chance.randrange(50_000_000), microseconds=chance.randrange(1_000_000))
        delivery = chance.choice([None, "09:00:00", "14:30:00", "26:00:00", "21:15:00"])
        updated = (ordered + timedelta(hours=chance.randrange(72))).strftime("%Y-%m-%d %H:%M:%S.") + "125"
        items += lines
        orders.append((
            chance.choice(customers)[0], order_id, chance.choice(STATUSES), ordered, delivery,
            (net * (1 + tax)).quantize(Decimal("0.01")), tax, chance.choice(COUPONS), chance.choice(NOTES),
            int(chance.random() < 0.1), updated,
        ))  # fmt: skip
    return orders, items


def _item(chance: random.Random, order_id: int, line: int) -> tuple[Any, ...]:
    number = chance.randrange(len(PRODUCTS))
    name, price, weight = PRODUCTS[number]
    options = json.dumps({"色": chance.choice(["紺", "生成り", "朱"])}, ensure_ascii=False)
    return (
        order_id, line, f"JP-{number:03d}-{chance.choice('ABC')}", name, chance.choice([1, 1, 1, 2, 3]), Decimal(price),
        weight, chance.randbytes(16) if chance.random() < 0.3 else None,
        options if chance.random() < 0.4 else None, chance.choice(GIFTS),
    )  # fmt: skip


def _insert(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    rows = list(rows)
    marks = ", ".join(["%s"] * len(rows[0]))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
