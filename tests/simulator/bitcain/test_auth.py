"""Bearer tokens, log-in, refresh and sign-up of the simulated Bitcain."""

from typing import Any

LOGIN = {"email": "bot@example.com", "password": "simulated-password"}


async def test_no_bearer_is_401_or_403(sim: Any, bitcain: Any) -> None:
    """401 with the header that names the scheme; 403 by the switch; another text for a bad token."""
    missing = await bitcain.send("GET", "/api/v1/orders", token=None)
    wrong = await bitcain.send("GET", "/api/v1/orders", token="nonsense")

    assert (missing.status_code, missing.json()) == (401, {"detail": "Not authenticated"})
    assert missing.headers["www-authenticate"] == "Bearer"
    assert wrong.status_code == 401
    assert wrong.json() != missing.json()

    sim.bitcain.settings.missing_bearer = 403
    assert (await bitcain.send("GET", "/api/v1/orders", token=None)).status_code == 403


async def test_login_gives_a_token_that_expires_and_can_be_refreshed(sim: Any, bitcain: Any) -> None:
    """The documented shape; seconds as expiry; a refresh rotates and voids the old refresh token."""
    body = (await bitcain.send("POST", "/auth/login", token=None, json=LOGIN)).json()
    session = body["session"]
    assert (body["success"], body["error"], body["user"]["email"]) == (True, None, "bot@example.com")
    assert session["expires_at"] == int(sim.clock.time()) + 3600
    assert (await bitcain.send("GET", "/api/v1/orders", token=session["access_token"])).status_code == 200

    sim.clock.advance(3600)
    assert (await bitcain.send("GET", "/api/v1/orders", token=session["access_token"])).status_code == 401

    again = {"refresh_token": session["refresh_token"]}
    new = (await bitcain.send("POST", "/auth/refresh", token=None, json=again)).json()["session"]
    assert (await bitcain.send("GET", "/api/v1/orders", token=new["access_token"])).status_code == 200
    assert (await bitcain.send("POST", "/auth/refresh", token=None, json=again)).status_code == 401


async def test_tokens_can_be_voided(sim: Any, bitcain: Any) -> None:
    """`expire_tokens` ends log-in tokens at once; the ready token stays good."""
    token = (await bitcain.send("POST", "/auth/login", token=None, json=LOGIN)).json()["session"]["access_token"]

    sim.bitcain.expire_tokens()

    assert (await bitcain.send("GET", "/api/v1/orders", token=token)).status_code == 401
    assert (await bitcain.send("GET", "/api/v1/orders")).status_code == 200


async def test_a_failed_login_is_401_or_a_200_that_says_so(sim: Any, bitcain: Any) -> None:
    """Both readings of the documented model; and a login that stops at a second factor."""
    wrong = LOGIN | {"password": "wrong"}
    assert (await bitcain.send("POST", "/auth/login", token=None, json=wrong)).status_code == 401

    sim.bitcain.settings.login_failure = 200
    body = (await bitcain.send("POST", "/auth/login", token=None, json=wrong)).json()
    assert (body["success"], body["session"]) == (False, None)

    sim.bitcain.settings.login_session = "mfa"
    body = (await bitcain.send("POST", "/auth/login", token=None, json=LOGIN)).json()
    assert (body["success"], body["session"], body["mfa_required"]) == (True, None, True)


async def test_login_bodies_are_validated(bitcain: Any) -> None:
    """A missing field, a bad address and broken JSON are 422 in FastAPI's shape."""
    nobody = await bitcain.send("POST", "/auth/login", token=None, json={"email": "nobody"})
    broken = await bitcain.send("POST", "/auth/login", token=None, content=b'{"email": ')
    nothing = await bitcain.send("POST", "/auth/refresh", token=None)

    assert {fault["type"] for fault in nobody.json()["detail"]} == {"value_error", "missing"}
    assert broken.json()["detail"][0]["type"] == "json_invalid"
    assert broken.json()["detail"][0]["loc"] == ["body", 10]
    assert nothing.json()["detail"][0] == {
        "type": "missing", "loc": ["body"], "msg": "Field required", "input": None,
    }  # fmt: skip
