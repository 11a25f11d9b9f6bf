"""Every Weavr route with its operation: Multi, Payment Run, and their Simulators."""

from __future__ import annotations

from typing import Any, Final

from server_stub.dialects.weavr import enrolment, login, passwords, payments, protected, push, runs, simulator, stepup
from server_stub.dialects.weavr import schemas as s
from server_stub.dialects.weavr.constants import AUTHY, BIOMETRIC, MULTI, PAYMENT_RUN, SMS, Surface
from server_stub.dialects.weavr.gate import Work, user_route
from server_stub.dialects.weavr.schemas import operation
from server_stub.http import Endpoint, Handler
from server_stub.openapi import ref

_NUMBER: Final = ("MOBILE_NUMBER_NOT_AVAILABLE", "MOBILE_NUMBER_INVALID", "MOBILE_COUNTRY_NOT_SUPPORTED")
_CHANNEL: Final = ("CHANNEL_NOT_SUPPORTED", "CHANNEL_NOT_REGISTERED")
_WRONG: Final = (
    "VERIFICATION_CODE_EXPIRED",
    "VERIFICATION_CODE_INVALID",
    "ONE_CHALLENGE_LIMIT_REMAINING",
    "CHALLENGE_LIMIT_EXCEEDED",
)
_LIMIT: Final = "CHALLENGE_LIMIT_EXCEEDED"
_PASSWORD: Final = ("PASSWORD_INCORRECT", "PASSWORD_PREVIOUSLY_USED", "PASSWORD_KNOWN")
_STEPPED_UP: Final = ("STEP_UP_REQUIRED",)
_MULTI_STEPPED_UP: Final = (*_STEPPED_UP, "ACCESS_TOKEN_REQUIRED")


def _both(surface: Surface) -> list[Endpoint]:
    """What both APIs have: login, logout, SMS enrolment and step-up."""
    multi = surface.multi
    state = ("STATE_INVALID",) if multi else ()
    ineligible = ("TYPE_DOES_NOT_SUPPORT_ENROLMENT",) if multi else ()
    enrol = ("CHANNEL_NOT_SUPPORTED", "CHANNEL_ALREADY_REGISTERED", "CREDENTIALS_INACTIVE", *ineligible)
    issue = (
        *_CHANNEL,
        "MOBILE_NUMBER_INVALID",
        "RETRY_IN_15SEC",
        *(("MOBILE_COUNTRY_NOT_SUPPORTED", _LIMIT) if multi else ()),
    )
    verify = ("STATE_INVALID", *_WRONG, *_CHANNEL, *(("ALREADY_VERIFIED",) if multi else ()))
    create = "/passwords/{user_id}/create" if multi else "/password/{user_id}"
    factors, challenges = "/authentication_factors/otp/{channel}", "/stepup/challenges/otp/{channel}"
    sms: dict[str, Any] = {"channels": (SMS,)}
    return [
        _plain(surface, "/login_with_password", login.login_route(surface), _login_operation()),
        _plain(
            surface,
            create,
            passwords.create_route(surface),
            operation(
                "Set an invited user's password",
                ok=(200, "WeavrPassword"),
                body=s.NEW_PASSWORD,
                conflicts=("PASSWORD_ALREADY_CREATED",),
                more=(404,),
                token=False,
            ),
        ),
        _plain(
            surface,
            "/passwords/update",
            passwords.update_route(surface),
            operation(
                "Change the password",
                ok=(200, "WeavrPassword"),
                body=s.CHANGED_PASSWORD,
                conflicts=_PASSWORD,
                token=False,
            )
            | {"security": [{"bearer": []}]},
        ),
        _route("POST", surface, "/logout", login.logout, operation("End the session of this token"), auth_token=True),
        _route(
            "POST",
            surface,
            factors,
            enrolment.begin_sms,
            operation("Enrol the number: sends a code", conflicts=(*enrol, *_NUMBER), **sms),
        ),
        _route(
            "POST",
            surface,
            f"{factors}/verify",
            enrolment.verify_sms,
            operation("Enrol the number: verify", body=s.CODE, conflicts=(*enrol, *_WRONG, *state), **sms),
        ),
        _route(
            "POST", surface, challenges, stepup.issue, operation("Step up: send a code (S1-28)", conflicts=issue, **sms)
        ),
        _route(
            "POST",
            surface,
            f"{challenges}/verify",
            stepup.verify,
            operation("Step up: verify the code (S1-30)", body=s.CODE, conflicts=verify, **sms),
        ),
    ]


def _login_operation() -> dict[str, Any]:
    found = operation("Log in with a password", ok=(200, "WeavrLogin"), body=s.LOGIN, token=False, more=(403, 423))
    found["responses"]["409"] = {
        **found["responses"]["200"],
        "content": {"application/json": {"schema": ref("WeavrToken")}},
    }
    return found


def _plain(surface: Surface, path: str, handler: Handler, described: dict[str, Any]) -> Endpoint:
    return Endpoint("POST", surface.base + path, handler, described)


def _route(method: str, surface: Surface, path: str, work: Work, described: dict[str, Any], **options: Any) -> Endpoint:
    return Endpoint(method, surface.base + path, user_route(surface, work, **options), described)


def _multi() -> list[Endpoint]:
    pushes: dict[str, Any] = {"channels": (AUTHY, BIOMETRIC)}
    elevated: dict[str, Any] = {"forbidden": _MULTI_STEPPED_UP}
    payment = (*_CHANNEL, "STATE_INVALID", _LIMIT)
    enrol_push = (
        "CHANNEL_NOT_SUPPORTED",
        "CHANNEL_NOT_READY",
        "CHANNEL_ALREADY_REGISTERED",
        "MOBILE_NUMBER_NOT_AVAILABLE",
        _LIMIT,
        "PASSCODE_NOT_SET",
        "ENROLMENT_LIMIT_EXCEEDED",
        "MOBILE_COUNTRY_NOT_SUPPORTED",
        "TYPE_DOES_NOT_SUPPORT_ENROLMENT",
    )

    def route(method: str, path: str, work: Work, described: dict[str, Any], **options: Any) -> Endpoint:
        return _route(method, MULTI, path, work, described, **options)

    return [
        route(
            "GET",
            "/identities",
            login.identities,
            operation("The user's identities", ok=(200, "WeavrIdentities"), idempotent=False),
            auth_token=True,
        ),
        route(
            "POST",
            "/access_token",
            login.access_token,
            operation(
                "An ACCESS token for an AUTH token", ok=(200, "WeavrAccessToken"), body=s.ACCESS_TOKEN, more=(423,)
            ),
            auth_token=True,
        ),
        _plain(
            MULTI,
            "/login_via_biometrics",
            push.login_via_biometrics,
            operation(
                "Log in on the phone; the token comes by webhook",
                ok=(200, "WeavrChallengeId"),
                body=s.BIOMETRIC_LOGIN,
                token=False,
                conflicts=_CHANNEL,
                more=(403, 423),
            ),
        ),
        route(
            "GET",
            "/authentication_factors",
            enrolment.list_factors,
            operation("The user's factors", ok=(200, "WeavrFactors"), idempotent=False),
        ),
        route(
            "POST",
            "/authentication_factors/push/{channel}",
            enrolment.begin_push,
            operation("Enrol push", conflicts=enrol_push, channels=(AUTHY,), **elevated),
            elevated=True,
            knows_block=True,
        ),
        route(
            "DELETE",
            "/authentication_factors/push/{channel}",
            enrolment.unlink,
            operation(
                "Unlink push or biometrics",
                conflicts=("CHANNEL_NOT_REGISTERED", "CREDENTIALS_INACTIVE"),
                **pushes,
                **elevated,
            ),
            elevated=True,
        ),
        route(
            "POST",
            "/stepup/challenges/push/{channel}",
            push.issue,
            operation("Step up by push", ok=(200, "WeavrId"), conflicts=("STATE_INVALID", *_CHANNEL, _LIMIT), **pushes),
        ),
        route(
            "POST",
            "/outgoing_wire_transfers",
            payments.create_transfer,
            operation(
                "Create a transfer, which waits for its challenge",
                ok=(200, "WeavrTransfer"),
                body=s.TRANSFER,
                conflicts=("SOURCE_NOT_FOUND", "FUNDS_INSUFFICIENT"),
            ),
        ),
        route(
            "GET",
            "/outgoing_wire_transfers/{id}",
            payments.get_transfer,
            operation("A transfer", ok=(200, "WeavrTransfer"), more=(404,), idempotent=False, **elevated),
            elevated=True,
        ),
        route(
            "POST",
            "/challenges/otp/{channel}",
            payments.challenge_by_sms,
            operation(
                "Confirm payments by SMS",
                ok=(200, "WeavrScaChallenge"),
                body=s.RESOURCES,
                channels=(SMS,),
                conflicts=(*payment, "RETRY_IN_15SEC", "MOBILE_NUMBER_INVALID", "MOBILE_COUNTRY_NOT_SUPPORTED"),
            ),
        ),
        route(
            "POST",
            "/challenges/{scaChallengeId}/otp/{channel}/verify",
            payments.verify_challenge,
            operation(
                "Confirm payments: verify the code",
                body=s.CHALLENGE_CODE,
                more=(404,),
                channels=(SMS,),
                conflicts=(
                    "STATE_INVALID",
                    *_WRONG,
                    *_CHANNEL,
                    "MOBILE_NUMBER_INVALID",
                    "MOBILE_COUNTRY_NOT_SUPPORTED",
                ),
            ),
        ),
        route(
            "POST",
            "/challenges/push/{channel}",
            payments.challenge_by_push,
            operation(
                "Confirm payments by push", ok=(200, "WeavrScaChallenge"), body=s.RESOURCES, conflicts=payment, **pushes
            ),
        ),
        route(
            "POST",
            "/users",
            protected.create_user,
            operation(
                "Invite an authorised user",
                ok=(200, "WeavrUser"),
                body=s.USER,
                conflicts=("EMAIL_NOT_UNIQUE",),
                **elevated,
            ),
            elevated=True,
        ),
        route(
            "GET",
            "/managed_accounts",
            protected.list_accounts,
            operation("Managed accounts", ok=(200, "WeavrAccounts"), idempotent=False, **elevated),
            elevated=True,
        ),
        route(
            "GET",
            "/managed_accounts/{id}",
            protected.get_account,
            operation("A managed account", ok=(200, "WeavrAccount"), more=(404,), idempotent=False, **elevated),
            elevated=True,
        ),
        route(
            "GET",
            "/managed_accounts/{id}/statement",
            protected.get_statement,
            operation("Its statement", ok=(200, "WeavrStatement"), more=(404,), idempotent=False, **elevated),
            elevated=True,
        ),
    ]


def _payment_run() -> list[Endpoint]:
    elevated: dict[str, Any] = {"forbidden": _STEPPED_UP}

    def route(method: str, path: str, work: Work, described: dict[str, Any], **options: Any) -> Endpoint:
        return _route(method, PAYMENT_RUN, path, work, described, **options)

    return [
        route(
            "PATCH",
            "/buyers",
            protected.update_buyer,
            operation("Change the buyer", ok=(200, "WeavrBuyer"), body=s.BUYER, **elevated),
            elevated=True,
        ),
        route(
            "POST",
            "/users",
            protected.create_user,
            operation(
                "Invite an authorised user",
                ok=(200, "WeavrUser"),
                body=s.USER,
                conflicts=("EMAIL_NOT_UNIQUE",),
                **elevated,
            ),
            elevated=True,
        ),
        route(
            "POST",
            "/payment_runs",
            runs.create_run,
            operation("Create a payment run", ok=(200, "WeavrRun"), body=s.RUN),
        ),
        route(
            "GET",
            "/payment_runs/{id}",
            runs.get_run,
            operation("A payment run", ok=(200, "WeavrRun"), more=(404,), idempotent=False),
        ),
        route(
            "POST",
            "/payment_runs/{id}/confirm",
            runs.confirm_run,
            operation(
                "Confirm a payment run", ok=(200, "WeavrRun"), more=(404,), conflicts=("PAYMENT_RUN_ALREADY_CONFIRMED",)
            ),
        ),
    ]


def _simulators() -> list[Endpoint]:
    sandbox = Surface("payment-run", "/payment-run/simulate/v1")
    base = "/payment_run_sca/{id}/challenges/otp/{channel}"
    issue = ("STATE_INVALID", *_CHANNEL, "MOBILE_NUMBER_INVALID", "RETRY_IN_15SEC", _LIMIT)
    verify = ("STATE_INVALID", *_WRONG, *_CHANNEL, "MOBILE_NUMBER_INVALID", runs.VERIFY_FAILED)
    keys: dict[str, Any] = {"keys": simulator.KEYS}
    endpoints = [
        _route(
            "POST",
            sandbox,
            base,
            runs.challenge_run,
            operation("Sandbox: send the run's code", conflicts=issue, channels=(SMS,), more=(404,)),
            **keys,
        ),
        _route(
            "POST",
            sandbox,
            f"{base}/verify",
            runs.verify_run,
            operation("Sandbox: verify the run's code", body=s.CODE, conflicts=verify, channels=(SMS,), more=(404,)),
            **keys,
        ),
    ]
    factors = Surface("multi", "/simulate/api/factors/{credentials_id}/challenges/{challenge_id}")
    for outcome in simulator.OUTCOMES:
        described = operation(
            f"Simulator: {outcome}",
            ok=(200, "WeavrSimulated"),
            conflicts=("STATE_INVALID",),
            more=(404,),
            key="programme-key",
            bad="WeavrSimulatorError",
            idempotent=False,
        )
        endpoints.append(_route("POST", factors, f"/{outcome}", simulator.decide_route(outcome), described, **keys))
    return endpoints


ENDPOINTS: Final = (*_both(MULTI), *_multi(), *_both(PAYMENT_RUN), *_payment_run(), *_simulators())
