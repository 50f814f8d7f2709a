"""APIs: a real server on this machine that pages, fails, throttles, repeats itself and wants to know who asks."""

import http.server
import json
import threading
import urllib.parse
from dataclasses import dataclass, field

import pytest

from pipeline.sources import web

SOURCE = """kind = "http"
url = "{url}/sales"
every = "month"
begin = "2024-01-01"
{more}
params = {{ since = "{{begin}}", until = "{{end:date}}", unix = "{{begin:unix}}" }}
"""
SALES = [
    {"id": number, "amount": number / 2, "paid": number % 2 == 0, "buyer": {"town": "Köln"}} for number in range(7)
]


@dataclass
class Api:
    """What the server is to do, and what it was asked.

    Attributes:
      answers: what it says before it behaves: (status, headers, body).
    """

    url: str = ""
    pages: str = "offset"
    rows: list = field(default_factory=lambda: list(SALES))
    answers: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    envelope: bool = False
    csv: bool = False
    repeats: bool = False
    size: int = 3

    def answer(self, parameters):
        """Returns status, headers and body of a page."""
        if self.repeats:
            return self.page(self.rows[:2], {})
        if self.pages == "offset":
            start, size = int(parameters["offset"]), min(int(parameters["limit"]), self.size)
            return self.page(self.rows[start : start + size], {})
        start = int(parameters.get("cursor", parameters.get("page", "0")))
        following = start + self.size if start + self.size < len(self.rows) else None
        if self.pages == "link" and following is not None:
            return self.page(self.rows[start:][: self.size], {"Link": f'</sales?page={following}>; rel="next"'})
        return self.page(self.rows[start:][: self.size], {}, following)

    def page(self, rows, headers, following=None):
        if self.csv:
            lines = ["id,amount,code", *(f"{row['id']},{row['amount']},00{row['id']}" for row in rows)]
            return 200, headers, "\r\n".join(lines)
        return 200, headers, json.dumps({"data": {"items": rows}, "next": following} if self.envelope else rows)


@pytest.fixture
def api():
    api = Api()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            api.asked.append(parameters)
            api.headers.append(dict(self.headers))
            status, headers, body = api.answers.pop(0) if api.answers else api.answer(parameters)
            if status == 0:  # Hangs up.
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        yield api
        server.shutdown()


@pytest.fixture
def waited(monkeypatch):
    """The seconds that were waited, without waiting them."""
    seconds = []
    monkeypatch.setattr(web, "sleep", seconds.append)
    return seconds


def ids(shop, span=1, version=1):
    return [row["id"] for row in shop.rows(span, version)]


def test_pages_by_offset_until_one_has_no_rows(shop, api):
    """The server gives three rows at most, whatever it is asked for."""
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"\npage_size = 5'))

    assert shop.pull("--span", 1, "--json").outcomes == [(1, 1, 7, "landed")]

    assert ids(shop) == list(range(7))
    assert shop.rows(1, 1)[2] == {"id": 2, "amount": 1.0, "paid": True, "buyer.town": "Köln"}
    assert [(one["offset"], one["limit"]) for one in api.asked] == [("0", "5"), ("3", "5"), ("6", "5"), ("7", "5")]
    # 2024-01-01 is 54 years of 365 days and 13 leap days after 1970-01-01.
    moments = {(one["since"], one["until"], one["unix"]) for one in api.asked}
    assert moments == {("2024-01-01T00:00:00Z", "2024-02-01", str((54 * 365 + 13) * 86_400))}


def test_pages_by_cursor(shop, api):
    api.pages, api.envelope = "cursor", True
    shop.write(SOURCE.format(url=api.url, more='pages = "cursor"\ncursor = "next"\nrows = "data.items"'))

    assert shop.pull("--span", 1).status == 0

    assert ids(shop) == list(range(7))
    assert [one.get("cursor") for one in api.asked] == [None, "3", "6"]


def test_pages_by_link_of_csv(shop, api):
    api.pages, api.csv = "link", True
    shop.write(SOURCE.format(url=api.url, more='pages = "link"\nformat = "csv"'))

    assert shop.pull("--span", 1).status == 0

    assert shop.rows(1, 1)[6] == {"id": 6, "amount": 3.0, "code": "006"}
    assert [one.get("page") for one in api.asked] == [None, "3", "6"]


def test_a_server_that_fails_and_throttles_is_asked_again(shop, api, waited):
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"'))
    api.answers = [
        (500, {}, "oops"),
        (0, {}, ""),
        (429, {"Retry-After": "7"}, ""),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, ""),
    ]

    assert shop.pull("--span", 1).status == 0

    assert ids(shop) == list(range(7))
    # Half a second, doubled; seven, as it asks; a date that has passed.
    assert waited == [0.5, 1.0, 7.0, 0.0]


def test_a_server_that_always_fails_leaves_nothing(shop, api, waited):
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"\ntries = 3'))
    api.answers = [(200, {}, json.dumps(SALES[:3])), *[(502, {}, "")] * 3]

    answer = shop.pull("--span", 1)

    assert (answer.status, shop.files(), len(waited)) == (1, [], 2)
    assert f"[source]: {api.url}/sales answers 502 Bad Gateway each time, 3 times." in answer.err
    assert shop.pull("--span", 1).status == 0
    assert ids(shop) == list(range(7))


def test_a_server_that_wants_a_long_rest_is_left_alone(shop, api, waited):
    shop.write(SOURCE.format(url=api.url, more=""))
    api.answers = [(429, {"Retry-After": "86400"}, "")]

    answer = shop.pull("--span", 1)

    assert (answer.status, waited) == (1, [])
    assert "asks to be left alone for 86,400 s; pull again then." in answer.err


def test_rows_that_shift_between_pages_are_taken_once(shop, api):
    """While pages are read a row is put in front, so that the second page begins with the last row of the first."""
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"\nkey = ["id"]'))
    api.answers = [(200, {}, json.dumps(SALES[:3]))]
    api.rows = [{**SALES[0], "id": 100}, *SALES]

    assert shop.pull("--span", 1).status == 0

    assert ids(shop) == list(range(7))


def test_a_page_without_end_is_an_error(shop, api):
    api.repeats = True
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"'))
    answer = shop.pull("--span", 1)
    assert answer.status == 1
    assert "two pages in a row are the same 2 rows. Either the server repeats pages: name the columns" in answer.err

    api.repeats, api.envelope, api.pages = False, True, "cursor"
    shop.write(SOURCE.format(url=api.url, more='pages = "cursor"\ncursor = "next"\nrows = "data.items"'))
    body = json.dumps({"data": {"items": SALES[:1]}, "next": "3"})
    api.answers = [(200, {}, body), (200, {}, body.replace("0", "1"))]
    answer = shop.pull("--span", 1)
    assert answer.status == 1
    assert "a page leads back to an earlier one" in answer.err


def test_the_key_of_an_api_comes_from_the_environment_and_is_told_to_nobody_else(shop, api, monkeypatch, waited):
    monkeypatch.setenv("API_KEY", "hush-hush-42")
    more = 'pages = "link"\ntries = 2\nheaders = { Authorization = "Bearer {env:API_KEY}" }'
    shop.write(SOURCE.format(url=api.url, more=more))
    api.pages = "link"
    assert shop.pull("--span", 1).status == 0
    assert {one["Authorization"] for one in api.headers} == {"Bearer hush-hush-42"}

    printed = []
    elsewhere = {"Link": '<http://127.0.0.1:1/steal>; rel="next"'}
    for answers in (
        [(401, {}, "hush-hush-42 is not allowed")],
        [(500, {}, "hush-hush-42")] * 2,
        [(200, {}, "<html>hush-hush-42")],
        [(302, {"Location": "http://127.0.0.1:1/?hush-hush-42"}, "")],
        [(200, elsewhere, json.dumps(SALES[:1]))],
    ):
        api.answers = answers
        answer = shop.pull("--span", 1)
        assert answer.status in (1, 2)
        assert len(answer.err.strip().splitlines()) == 1
        printed += [answer.err, answer.out]
    assert "answers 401 Unauthorized: env:API_KEY is not allowed" in printed[0]
    assert "the next page is on another server, 127.0.0.1, and is not asked for." in printed[-2]
    files = [path.read_bytes().decode("latin-1") for path in shop.folder.rglob("*") if path.is_file()]
    assert not [text for text in [*printed, *files] if "hush-hush" in text]


def test_values_are_read_as_the_schema_wants_them(shop, api):
    features = "".join(
        f'feature {{ name: "{name}" type: {kind} }}\n'
        for name, kind in (("zip", "BYTES"), ("amount", "FLOAT"), ("paid", "INT"), ("tags", "BYTES"))
    )
    (shop.folder / "schema.pbtxt").write_text(features)
    api.rows = [
        {"zip": 50667, "amount": "12.50", "paid": True, "tags": ["a", "b"], "mixed": 1},
        {"zip": "01067", "amount": 3, "paid": None, "tags": None, "mixed": "x", "late": 2**70},
    ]
    shop.write(SOURCE.format(url=api.url, more='pages = "offset"'), spans='schema = "schema.pbtxt"')

    answer = shop.pull("--span", 1)

    assert answer.status == 0, answer.err
    assert shop.rows(1, 1) == [
        {"zip": "50667", "amount": 12.5, "paid": True, "tags": ["a", "b"], "mixed": "1", "late": None},
        {"zip": "01067", "amount": 3.0, "paid": None, "tags": None, "mixed": "x", "late": str(2**70)},
    ]
    api.rows[0]["amount"] = "much"
    assert "column 'amount': expected FLOAT, as the schema says. Received: \"much\"." in shop.pull("--span", 1).err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('headers = { X-Api-Key = "abc" }', "headers: X-Api-Key looks like a secret. Name it"),
        ('pages = "cursor"', 'pages = "cursor" and cursor, where the next one is in a page, belong together.'),
        ('pages = "cursor"\ncursor = "next"\nformat = "csv"', "a page of CSV holds no cursor"),
        ('rows = "items"', "rows: expected a list of objects at 'items'."),
    ],
)
def test_a_mistake_is_one_line(shop, api, more, message):
    api.pages = "link"
    shop.write(SOURCE.format(url=api.url, more=more))

    answer = shop.pull("--span", 1)

    assert (answer.status, len(answer.err.strip().splitlines())) == (2, 1), answer.err
    assert message in answer.err


def test_a_request_must_say_which_span_it_wants(shop):
    shop.write('kind = "http"\nurl = "https://host/sales"\nevery = "day"\nbegin = "2024-01-01"\n')

    assert "{begin} is missing in url and params, so each span would have the same rows" in shop.pull().err
