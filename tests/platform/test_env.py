"""The environment is read strictly: each refusal, and each page that tells of the settings."""

from __future__ import annotations

import json
import runpy
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alphapanda import env
from alphapanda.management.commands import settings_table

REAL = {
    "ALPHAPANDA_DATABASE_URL": "postgres://panda:hunter2hunter2@db/panda",
    "ALPHAPANDA_SECRET_KEY": "s" * 50,
    "ALPHAPANDA_JWT_KEY": "j" * 43,
    "ALPHAPANDA_CREDENTIAL_KEYS": "n" * 43 + "," + "o" * 43,
}
LIVE = {
    "ALPHAPANDA_ZERODHA_ENABLED": "true",
    "ALPHAPANDA_LIVE_TRADING": "true",
    "ALPHAPANDA_BROKERS": "paper,zerodha",
    "ALPHAPANDA_KITE_API_URL": "http://127.0.0.1:8765",
    "ALPHAPANDA_KITE_LOGIN_URL": "http://127.0.0.1:8765/connect/login",
    "ALPHAPANDA_KITE_WS_URL": "ws://127.0.0.1:8765/ws",
}


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(env.Misconfigured) as caught:
        env.load(environment)
    return str(caught.value)


def test_nothing_set_is_embedded_and_trades_on_paper(tmp_path: Path) -> None:
    values = env.load({"ALPHAPANDA_RUN_DIR": str(tmp_path)})

    assert env.is_embedded(values)
    assert (values["BROKERS"], values["ZERODHA_ENABLED"], values["LIVE_TRADING"]) == (["paper"], False, False)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert "ALPHAPANDA_SHARD is not a setting; did you mean ALPHAPANDA_SHARDS?" in refusal(
        {"ALPHAPANDA_SHARD": "2"}
    )


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("LIVE_TRADING", "ture", "true or false"),
        ("SHARDS", "two", "a whole number from 1 to 64"),
        ("SHARDS", "2.0", "a whole number from 1 to 64"),
        ("SHARDS", "0", "a whole number from 1 to 64"),
        ("PORT", "65536", "a whole number from 1 to 65535"),
        ("FEED_SPEED", "fast", "a factor above 0, or max"),
        ("FEED_SPEED", "nan", "a factor above 0, or max"),
        ("FEED_SPEED", "0", "a factor above 0, or max"),
        ("LOG_FORMAT", "JSON", "one of json, console"),
        ("BROKERS", "paper,zerodah", "one or more of paper, zerodha"),
        ("TOPIC_PREFIX", "a b", "letters, digits"),
        ("ALLOWED_ORIGINS", "panda.example.org", "origins such as https://"),
        ("ALLOWED_ORIGINS", "https://panda.example.org/", "origins such as https://"),
        (
            "ALLOWED_ORIGINS",
            "https://ok.example.org,https://panda.example.org:443",
            "origins such as https://",
        ),
        ("ALLOWED_ORIGINS", "https://*.example.org", "origins such as https://"),
        ("ALLOWED_ORIGINS", "https://Panda.example.org", "origins such as https://"),
        ("HOST", "not a host", "an IPv4 address or a host name"),
        ("HOST", "300.0.0.1", "an IPv4 address or a host name"),
        ("HOST", "http://localhost", "an IPv4 address or a host name"),
        ("KITE_API_URL", "http://api.kite.trade", "https://host, or http:// on this machine"),
        ("KITE_API_URL", "https://api.kite.trade/v3", "https://host, or http:// on this machine"),
        ("KITE_API_URL", "https://me:pw@api.kite.trade", "https://host, or http:// on this machine"),
        ("KITE_API_URL", "http://127.0.0.1:99999", "https://host, or http:// on this machine"),
        ("KITE_LOGIN_URL", "http://localhost.example.org/x", "https://host/path, or http:// on this machine"),
        ("KITE_LOGIN_URL", "https://kite.zerodha.com/?v=3", "https://host/path, or http:// on this machine"),
        ("KITE_WS_URL", "https://ws.kite.trade", "wss://host/path, or ws:// on this machine"),
        ("KITE_WS_URL", "ws://10.0.0.1:9000", "wss://host/path, or ws:// on this machine"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, given: str, expected: str) -> None:
    message = refusal({f"ALPHAPANDA_{name}": given})

    assert f"ALPHAPANDA_{name} is {given!r}; expected {expected}" in message


@pytest.mark.parametrize("given", ["short", "a" * 43 + "," + "a" * 43, "a" * 43 + ",short"])
def test_keys_that_do_not_fit_are_refused_and_not_shown(given: str) -> None:
    message = refusal({"ALPHAPANDA_CREDENTIAL_KEYS": given})

    assert "CREDENTIAL_KEYS is a secret (not shown); expected different keys of at least 43" in message
    assert given not in message


def test_the_addresses_of_kite_and_of_a_simulator_fit(tmp_path: Path) -> None:
    assert env.load({"ALPHAPANDA_RUN_DIR": str(tmp_path)})["KITE_WS_URL"] == "wss://ws.kite.trade"
    given = {
        "ALPHAPANDA_RUN_DIR": str(tmp_path),
        "ALPHAPANDA_KITE_API_URL": "http://127.0.0.1:9090",
        "ALPHAPANDA_KITE_LOGIN_URL": "http://localhost:9090/connect/login",
        "ALPHAPANDA_KITE_WS_URL": "ws://[::1]:9090/ws",
    }

    values = env.load(given)

    assert {
        f"ALPHAPANDA_{name}": str(values[name]) for name in ("RUN_DIR", "KITE_API_URL")
    }.items() <= given.items()
    assert (values["KITE_LOGIN_URL"], values["KITE_WS_URL"]) == (
        "http://localhost:9090/connect/login",
        "ws://[::1]:9090/ws",
    )


def test_origins_and_hosts_that_fit(tmp_path: Path) -> None:
    origins = "https://panda.example.org,http://localhost:8000,http://[::1]:8000"
    given = {"RUN_DIR": str(tmp_path), "ALLOWED_ORIGINS": origins, "HOST": "panda-1.example.org"}

    values = env.load({f"ALPHAPANDA_{name}": value for name, value in given.items()})

    assert values["ALLOWED_ORIGINS"] == origins.split(",")
    assert env.HOST.parse("127.0.0.2") == "127.0.0.2"


def test_a_folder_that_cannot_be_made_is_no_run_dir(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    message = refusal({"ALPHAPANDA_RUN_DIR": str(tmp_path / "file" / "run")})

    assert f"ALPHAPANDA_RUN_DIR is '{tmp_path}/file/run'; expected a folder to write to" in message


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "On"])
def test_the_words_for_true(word: str, tmp_path: Path) -> None:
    values = env.load({"ALPHAPANDA_DEBUG": word, "ALPHAPANDA_RUN_DIR": str(tmp_path)})

    assert values["DEBUG"] is True


def test_the_value_of_a_secret_is_never_shown() -> None:
    message = refusal({**REAL, "ALPHAPANDA_SECRET_KEY": "canary-too-short"})

    assert "ALPHAPANDA_SECRET_KEY is a secret (not shown); expected at least 50 characters" in message
    assert "canary" not in message
    assert "canary" not in refusal({"ALPHAPANDA_DATABASE_URL": "mysql://panda:canary@db/panda"})


@pytest.mark.parametrize("address", ["canary@db:port/panda", "canary@db:99999/panda", "canary[@db/panda"])
@pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")])
def test_an_address_that_is_none_is_refused(name: str, scheme: str, address: str) -> None:
    message = refusal({**REAL, f"ALPHAPANDA_{name}": f"{scheme}://panda:{address}"})

    assert f"ALPHAPANDA_{name} is a secret (not shown); expected empty or {scheme}://" in message
    assert "canary" not in message


def test_secrets_are_required_outside_embedded_mode() -> None:
    message = refusal({"ALPHAPANDA_DATABASE_URL": REAL["ALPHAPANDA_DATABASE_URL"], "ALPHAPANDA_DEBUG": "on"})

    assert "4 settings do not fit" in message
    assert "ALPHAPANDA_SECRET_KEY is missing" in message
    assert "ALPHAPANDA_JWT_KEY is missing" in message
    assert "ALPHAPANDA_CREDENTIAL_KEYS is missing" in message
    assert "ALPHAPANDA_DEBUG is true; expected false" in message
    assert env.load(REAL)["SECRET_KEY"] == "s" * 50


@pytest.mark.parametrize("name", ["ALPHAPANDA_BROKERS", "ALPHAPANDA_LIVE_TRADING"])
def test_live_trading_needs_each_of_its_conditions(name: str) -> None:
    message = refusal({**REAL, **LIVE, name: ""})

    assert name in message
    assert "ALPHAPANDA_ZERODHA_ENABLED is true" in message


AT_KITE = {name: value for name, value in LIVE.items() if "KITE" not in name} | {"ALPHAPANDA_FEED": "kite"}


def test_real_orders_go_to_kite_by_kites_own_prices_and_times() -> None:
    assert env.load({**REAL, **AT_KITE})["ZERODHA_ENABLED"] is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KITE_API_URL", "https://api.example.org"),
        ("KITE_API_URL", "http://127.0.0.1:8765"),
        ("KITE_LOGIN_URL", "https://kite.example.org/connect/login"),
        ("KITE_WS_URL", "ws://127.0.0.1:8765/ws"),
        ("FEED", "recorded"),
        ("FEED_CLOCK", "ticks"),
    ],
)
def test_nothing_lies_between_kite_and_a_simulator(name: str, value: str) -> None:
    message = refusal({**REAL, **AT_KITE, f"ALPHAPANDA_{name}": value})

    assert f"ALPHAPANDA_{name} is {value}; expected" in message
    assert "or all three addresses of Kite at a simulator on this machine" in message


def test_what_no_log_may_show_is_known() -> None:
    shown = env.secret_values(env.load({**REAL, **LIVE, "ALPHAPANDA_ZERODHA_ENABLED": ""}))

    assert shown == ["hunter2hunter2", "s" * 50, "j" * 43, "n" * 43, "o" * 43]


def test_a_password_in_an_address_is_known_as_written_and_as_meant() -> None:
    address = "postgres://panda:p%40ss%2Fword-77@db.example.org/panda"
    shown = env.secret_values(env.load({**REAL, "ALPHAPANDA_DATABASE_URL": address}))

    assert {"p%40ss%2Fword-77", "p@ss/word-77"} <= set(shown)


def test_live_trading_is_on_where_each_switch_says_so() -> None:
    values = env.load({**REAL, **LIVE})

    assert (values["ZERODHA_ENABLED"], values["LIVE_TRADING"]) == (True, True)


def test_without_live_trading_none_of_its_conditions_is_asked_for() -> None:
    assert env.load({**REAL, "ALPHAPANDA_BROKERS": "paper,zerodha"})["ZERODHA_ENABLED"] is False


def test_all_faults_are_told_at_once() -> None:
    message = refusal({"ALPHAPANDA_SHARDS": "x", "ALPHAPANDA_PORT": "y", "ALPHAPANDA_NO": "z"})

    assert [name in message for name in ("_SHARDS", "_PORT", "_NO")] == [True, True, True]


def test_a_dotenv_is_read_as_strictly_and_the_environment_wins(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        f"# mine\nALPHAPANDA_SHARDS=3\nexport ALPHAPANDA_PORT=81\nALPHAPANDA_RUN_DIR={tmp_path}\n"
    )

    values = env.load({"ALPHAPANDA_PORT": "82"}, dotenv=dotenv)

    assert (values["SHARDS"], values["PORT"]) == (3, 82)
    dotenv.write_text("ALPHAPANDA_SHARD=3\nwhat is this\n")
    with pytest.raises(env.Misconfigured, match=r"(?s)line 2: expected NAME=value.*_SHARD is not a setting"):
        env.load({}, dotenv=dotenv)


def test_generated_secrets_are_ours_only_and_stay(tmp_path: Path) -> None:
    environment = {"ALPHAPANDA_RUN_DIR": str(tmp_path)}

    with ThreadPoolExecutor(8) as pool:  # processes that start at once must agree
        loads = list(pool.map(lambda _: env.load(environment), range(8)))

    path = tmp_path / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {values["JWT_KEY"] for values in loads} == {json.loads(path.read_text())["JWT_KEY"]}
    assert loads[0]["JWT_KEY"] != loads[0]["SECRET_KEY"]


@pytest.mark.parametrize("text", ["", "{bad", "[]", "{}", '{"SECRET_KEY": 1}'])
def test_damaged_secrets_are_told_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text)

    with pytest.raises(env.Misconfigured, match=r"secrets\.json is damaged; expected that of your backup"):
        env.load({"ALPHAPANDA_RUN_DIR": str(tmp_path)})
    assert path.read_text() == text


def test_the_command_line_refuses_in_words_not_with_a_traceback(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(env.ROOT / "manage.py"), "check"],
        env={"ALPHAPANDA_LIVE_TRADING": "ture", "ALPHAPANDA_RUN_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith("Alpha Panda does not start: one setting does not fit.")
    assert "Traceback" not in run.stderr


def test_an_interrupt_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_argv: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("django.core.management.execute_from_command_line", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(env.ROOT / "manage.py"), run_name="__main__")

    assert ended.value.code == 130


def test_without_its_database_a_command_says_what_to_do(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(env.ROOT / "manage.py"), "prove_namespaces"],
        env={"ALPHAPANDA_RUN_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith("PostgreSQL does not answer: ")
    assert "make run" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("name", settings_table.PAGES)
def test_the_pages_tell_the_settings_as_they_are(name: str) -> None:
    page = (env.ROOT / name).read_text()

    assert settings_table.with_table(page) == page, "run `manage.py settings_table --write`"


def test_the_example_tells_the_settings_as_they_are() -> None:
    assert (env.ROOT / ".env.example").read_text() == settings_table.example()


def test_the_example_is_itself_valid(tmp_path: Path) -> None:
    live = settings_table.example().replace("# ALPHAPANDA_", "ALPHAPANDA_")
    dotenv = tmp_path / ".env"
    dotenv.write_text(live.replace("RUN_DIR=.run", f"RUN_DIR={tmp_path}"))

    assert env.load({}, dotenv=dotenv) | {"x": 0}


def test_paper_cannot_be_left_out() -> None:
    assert "ALPHAPANDA_BROKERS does not name paper" in refusal({"ALPHAPANDA_BROKERS": "zerodha"})
