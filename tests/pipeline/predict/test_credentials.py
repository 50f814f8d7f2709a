"""`predict` shows a token and a certificate, and trusts an authority, to a server that asks for all of it."""

import http.server
import json
import threading

import pytest

import local_runner
from tests.helpers import saved_models
from tests.helpers.certificates import Authority
from tests.helpers.model_server import launch, stop, wait_until

TOKEN = "a-token-of-twenty-one"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server of y = 2 x with TLS, client certificates and a token, and the folder of what a client may hold."""
    folder = tmp_path_factory.mktemp("credentials")
    authority, other = Authority("ours"), Authority("another")
    for name, pair in (("server", authority.issue("server")), ("client", authority.issue("client")),
                       ("stranger", other.issue("stranger"))):  # fmt: skip
        (folder / f"{name}.crt").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
        (folder / f"{name}.pem").write_bytes(pair.key + pair.certificate)
    (folder / "client.locked").write_bytes(authority.issue("client").encrypted(b"a password"))
    (folder / "ca.crt").write_bytes(authority.certificate)
    (folder / "other.crt").write_bytes(other.certificate)
    (folder / "tokens").write_text(f"{TOKEN}\nanother-token-for-the-change\n")
    (folder / "wrong").write_text("no-such-token-at-all\n")
    (folder / "empty").write_text("\n")
    (folder / "odd").write_text("to ken\n")
    (folder / "rows.jsonl").write_text('{"x": 1.5}\n')
    saved_models.save(folder / "m" / "1", 2.0, "serving_default")
    options = ["--model-name", "m", "--model-base-path", folder / "m", "--auth-token-file", folder / "tokens"]
    options += ["--tls-certificate", folder / "server.crt", "--tls-key", folder / "server.key"]
    options += ["--tls-client-ca", folder / "ca.crt"]
    server = launch(folder, *map(str, options))
    wait_until(lambda: "Serving m" in server.log.read_text() or server.process.poll() is not None)
    yield folder, f"https://127.0.0.1:{server.port}/v1/models/m"
    assert stop(server) == 0


@pytest.fixture
def predict(site, capsys, monkeypatch):
    folder, url = site
    monkeypatch.setenv("SCORING_TOKEN", TOKEN)
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)

    def run(*options, url=url):
        options = [str(folder / option[1:]) if option.startswith("@") else option for option in options]
        words = ["predict", str(folder / "rows.jsonl"), "--json", "--url", url, "--root", str(folder / "none")]
        status = local_runner.main([*words, *options])
        return status, *capsys.readouterr()

    return run


CERTIFIED = ("--tls-ca", "@ca.crt", "--tls-certificate", "@client.crt", "--tls-key", "@client.key")


@pytest.mark.parametrize(
    "options",
    [
        (*CERTIFIED, "--auth-token-file", "@tokens"),
        (*CERTIFIED, "--auth-token-env", "SCORING_TOKEN"),
        ("--tls-ca", "@ca.crt", "--tls-certificate", "@client.pem", "--auth-token-env", "SCORING_TOKEN"),
    ],
)
def test_a_client_that_shows_what_is_asked_for_is_answered(predict, options):
    status, out, err = predict(*options)

    assert status == 0, err
    assert json.loads(out) == {"row": 1, "prediction": {"y": 3.0}}


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (CERTIFIED, 1, "answered 401"),
        ((*CERTIFIED, "--auth-token-file", "@wrong"), 1, "Show a token that it knows: --auth-token-file FILE or"),
        ((), 1, "its certificate is not trusted"),
        (("--tls-ca", "@other.crt", "--auth-token-file", "@tokens"), 1, "Name its authority: --tls-ca FILE"),
        (("--auth-token-env", "NO_SUCH_TOKEN"), 2, "--auth-token-env NO_SUCH_TOKEN: there is no token in it"),
        (("--auth-token-file", "@empty"), 2, "empty: there is no token in it"),
        (("--auth-token-file", "@odd"), 2, "a token is visible ASCII without blanks"),
        (("--auth-token-file", "@none"), 2, "none: No such file or directory"),
        (("--tls-ca", "@rows.jsonl"), 2, "rows.jsonl holds no certificate in PEM"),
        (("--tls-ca", "@none"), 2, "--tls-ca: "),
        (("--tls-key", "@client.key"), 2, "give its certificate too"),
        (("--tls-certificate", "@client.crt"), 2, "are no certificate with its key in PEM"),
        (("--tls-certificate", "@client.crt", "--tls-key", "@client.locked"), 2, "without a password"),
        (("--tls-certificate", "@client.crt", "--tls-key", "@stranger.key"), 2, "are no certificate with its key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line_without_the_token(predict, options, status, message):
    found, out, err = predict(*options)

    assert (found, out) == (status, "")
    assert message in err
    assert err.count("\n") == 1
    assert TOKEN not in err
    assert "no-such-token" not in err
    assert "to ken" not in err


@pytest.mark.parametrize("certificate", [(), ("--tls-certificate", "@stranger.pem")])
def test_a_client_whose_certificate_is_missing_or_anothers_is_refused(predict, certificate):
    # TLS 1.3 tells a client so after its part of the handshake: as an alert, or as a connection that ends.
    status, out, err = predict("--tls-ca", "@ca.crt", "--auth-token-file", "@tokens", *certificate)

    assert (status, out) == (1, "")
    assert err.startswith("error: ")


def test_certificates_are_for_https(predict, site):
    status, _, err = predict("--tls-ca", "@ca.crt", url=site[1].replace("https", "http"))

    assert status == 2
    assert "certificates are for https://" in err


def test_a_token_is_not_sent_on_to_where_a_server_redirects(predict):
    asked = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/models/m"
        status, _, err = predict("--auth-token-file", "@tokens", url=url)
        server.shutdown()

    assert status == 1
    assert "answered 302" in err
    assert asked == [("/v1/models/m/metadata", f"Bearer {TOKEN}")]
