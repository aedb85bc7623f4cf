"""Ask IAM for what AWS services do in our name.

Without it: MiniStack checks only requests that arrive over HTTP. A state machine may call any function or query, an
event rule or an HTTP API may invoke a function that never let it in, and a function without permission to write logs
logs all the same; so a missing grant is found only on AWS.
Mended by asking, before the service acts: the state machine's role (its AWS SDK calls go through MiniStack's front
door with that role's credentials), the function's or queue's own policy (EventBridge, SNS, API Gateway), and the
function's role (logs, X-Ray, failure destinations). Event source mappings and schedules: ``stream_failures.py``,
``schedules.py``; Athena: ``athena_engine.py``.
"""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import apigateway, eventbridge, lambda_svc, sns, stepfunctions

from infra.local.emulator.authorisation import (
    NotAuthorisedError,
    ServiceCall,
    require_role,
    require_service,
    require_trust,
    role_access_key,
)
from infra.local.emulator.interception import STATE_MACHINE
from infra.local.emulator.settings import ACCOUNT, REGION, EmulatorSettings

logger = logging.getLogger("matakite.roles")
_state_machine: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("matakite_state_machine")

_LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
_TRACING_ACTIONS = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
)


# --- Step Functions ---------------------------------------------------------------------------------------------------


def _refuse(error_name: str, error: NotAuthorisedError) -> Exception:
    refused: Exception = stepfunctions._ExecutionError(error_name, str(error))
    return refused


def require_execution_role(error_name: str, action: str, resource: str) -> None:
    """Fail the running state unless its state machine's role may do this."""
    _arn, role = _state_machine.get()
    try:
        require_role(role, action, resource)
    except NotAuthorisedError as error:
        raise _refuse(error_name, error) from error


def _run_execution_as_role(run: Callable[[str], None]) -> Callable[[str], None]:
    def run_as_role(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn) or {}
        machine = stepfunctions._state_machines.get(execution.get("stateMachineArn", "")) or {}
        role = machine.get("roleArn", "")
        _state_machine.set((machine.get("stateMachineArn", ""), role))
        try:
            require_trust(role, "states.amazonaws.com")
        except NotAuthorisedError as error:
            stepfunctions._fail_execution(execution, "States.AccessDenied", str(error))
            return
        if (machine.get("tracingConfiguration") or {}).get("enabled"):
            _note_tracing(role, _TRACING_ACTIONS)
        run(execution_arn)

    return run_as_role


def _note_tracing(role: str, actions: tuple[str, ...]) -> None:
    """Traces without permission are lost, not an error; asking records that the grant is used."""
    for action in actions:
        try:
            require_role(role, action, "*")
        except NotAuthorisedError as error:
            logger.warning("no trace: %s", error)


def _invoke_function_as_role(call: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def call_as_role(function: str, event: Any) -> Any:
        _func, config, name = lambda_svc._get_func_record_for_ref(function)
        arn = str((config or {}).get("FunctionArn", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"))
        qualifier = function.rsplit(":function:", maxsplit=1)[-1].partition(":")[2]
        asked = f"{arn}:{qualifier}" if qualifier and not arn.endswith(f":{qualifier}") else arn
        require_execution_role("Lambda.AWSLambdaException", "lambda:InvokeFunction", asked)
        return call(function, event)

    return call_as_role


def _service_call_as_role(direct: Callable[..., Any]) -> Callable[..., Any]:
    """Send a state machine's SDK call through MiniStack's front door with its role's credentials."""

    def call(
        handler: Any,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        query: Any,
        timeout: float | None = None,
    ) -> Any:
        try:
            _arn, role = _state_machine.get()
        except LookupError:
            return direct(handler, method, path, headers, body, query, timeout)
        signed = {
            **headers,
            "authorization": headers.get("authorization", "").replace(
                "Credential=test/", f"Credential={role_access_key(role)}/"
            ),
        }
        raw = body.encode() if isinstance(body, str) else body

        async def front_door(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
            if path.startswith("/v2/email"):
                return await app._handle_ses_v2_request(method, path, headers, body, query, STATE_MACHINE)
            return await app._dispatch_service_request(method, path, headers, body, query, STATE_MACHINE)

        return direct(front_door, method, path, signed, raw, query, timeout)

    return call


def _optimised_as_role(
    resource: str, handler: Callable[[str, Any], Any], action: str, target: Callable[[Any], str]
) -> None:
    def handle(arn: str, given: Any) -> Any:
        error_name = resource.split(":::")[1].split(":", maxsplit=1)[0]
        prefix = {"dynamodb": "DynamoDB", "sqs": "SQS", "sns": "SNS", "events": "EventBridge"}[error_name]
        require_execution_role(f"{prefix}.AccessDeniedException", action, target(given))
        return handler(arn, given)

    stepfunctions._SERVICE_DISPATCH[resource] = handle


def _optimised_integrations() -> None:
    dispatch = dict(stepfunctions._SERVICE_DISPATCH)
    for operation in ("getItem", "putItem", "updateItem", "deleteItem"):
        resource = f"arn:aws:states:::dynamodb:{operation}"
        action = f"dynamodb:{operation[0].upper()}{operation[1:]}"
        _optimised_as_role(
            resource,
            dispatch[resource],
            action,
            lambda given: f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{str(given.get('TableName', '')).split('/')[-1]}",
        )
    _optimised_as_role(
        "arn:aws:states:::sqs:sendMessage",
        dispatch["arn:aws:states:::sqs:sendMessage"],
        "sqs:SendMessage",
        lambda given: f"arn:aws:sqs:{REGION}:{ACCOUNT}:{str(given.get('QueueUrl', '')).rsplit('/', 1)[-1]}",
    )
    _optimised_as_role(
        "arn:aws:states:::sns:publish",
        dispatch["arn:aws:states:::sns:publish"],
        "sns:Publish",
        lambda given: str(given.get("TopicArn", "*")),
    )
    _optimised_as_role(
        "arn:aws:states:::events:putEvents",
        dispatch["arn:aws:states:::events:putEvents"],
        "events:PutEvents",
        lambda given: f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
    )


def _nested_as_role(start: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def start_as_role(resource: str, given: Any) -> Any:
        arn = str(given.get("StateMachineArn") or given.get("stateMachineArn") or "")
        require_execution_role("StepFunctions.AccessDeniedException", "states:StartExecution", arn)
        return start(resource, given)

    return start_as_role


def _log_delivery(create: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """AWS refuses a state machine whose role may not deliver to the log group it names."""

    def create_checked(data: dict[str, Any]) -> Any:
        logging_to = data.get("loggingConfiguration") or {}
        if logging_to.get("level", "OFF") != "OFF":
            try:
                for action in _LOG_DELIVERY_ACTIONS:
                    require_role(str(data.get("roleArn", "")), action, "*")
            except NotAuthorisedError as error:
                message = f"The state machine IAM Role is not authorized to access the Log Destination: {error}"
                return stepfunctions.error_response_json("AccessDeniedException", message, 400)
        return create(data)

    return create_checked


def _patch_step_functions() -> None:
    stepfunctions._run_execution = _run_execution_as_role(stepfunctions._run_execution)
    stepfunctions._call_lambda = _invoke_function_as_role(stepfunctions._call_lambda)
    stepfunctions._create_state_machine = _log_delivery(stepfunctions._create_state_machine)
    for name in ("_invoke_nested_start_execution", "_invoke_nested_start_execution_sync"):
        setattr(stepfunctions, name, _nested_as_role(getattr(stepfunctions, name)))
    _optimised_integrations()
    app.call_service_handler_sync = _service_call_as_role(app.call_service_handler_sync)


# --- EventBridge rules ------------------------------------------------------------------------------------------------


def authorise_rule_target(target: dict[str, Any], rule: dict[str, Any]) -> None:
    """Raise unless the target lets this rule in (function, queue, topic) or the rule's role may start it."""
    arn, rule_arn = str(target.get("Arn", "")), str(rule.get("Arn", ""))
    try:
        service = parse_arn(arn).service
    except ArnParseError:
        return
    actions = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}
    if service in actions:
        require_service(ServiceCall("events.amazonaws.com", actions[service], arn, rule_arn))
    elif service in ("states", "events"):
        role = str(target.get("RoleArn", ""))
        require_role(role, "states:StartExecution" if service == "states" else "events:PutEvents", arn)
        require_trust(role, "events.amazonaws.com")


def _rule_target_checked(invoke: Callable[..., None]) -> Callable[..., None]:
    def invoke_checked(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        try:
            authorise_rule_target(target, rule)
        except NotAuthorisedError as error:
            logger.warning("rule %s: %s", rule.get("Name"), error)
            _to_rule_dead_letters(target, event, rule, str(error))
            return
        invoke(target, event, rule, view)

    return invoke_checked


def _to_rule_dead_letters(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], reason: str) -> None:
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    if not queue:
        return
    try:
        require_service(ServiceCall("events.amazonaws.com", "sqs:SendMessage", queue, str(rule.get("Arn", ""))))
    except NotAuthorisedError as error:
        logger.warning("rule %s: dead letter lost: %s", rule.get("Name"), error)
        return
    payload = json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
    eventbridge._dispatch_to_sqs(parse_arn(queue), payload, {})
    logger.info("rule %s: event dead-lettered: %s", rule.get("Name"), reason)


def _dispatch_to_function(arn: str, payload: str) -> None:
    """Deliver to a function as AWS does: asynchronously, two retries, then its failure destination."""
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not func or not config:
        logger.error("event target %s does not exist", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


# --- SNS --------------------------------------------------------------------------------------------------------------


def _queue_delivery_checked(deliver: Callable[..., None]) -> Callable[..., None]:
    def deliver_checked(endpoint: str, *message: Any, topic_arn: str = "", **named: Any) -> None:
        try:
            require_service(ServiceCall("sns.amazonaws.com", "sqs:SendMessage", endpoint, topic_arn))
        except NotAuthorisedError as error:
            logger.warning("topic %s: %s", topic_arn, error)
            return
        deliver(endpoint, *message, topic_arn=topic_arn, **named)

    return deliver_checked


# --- API Gateway ------------------------------------------------------------------------------------------------------


def _server_error() -> tuple[int, dict[str, str], bytes]:
    return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'


def _integration_checked(invoke: Callable[..., Any]) -> Callable[..., Any]:
    async def invoke_checked(
        integration: dict[str, Any], api_id: str, stage: str, path: str, method: str, *rest: Any, **named: Any
    ) -> Any:
        reference = apigateway._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
        _func, config, _name = lambda_svc._get_func_record_for_ref(reference)
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage}/{_route_source(named, rest, path)}"
        call = ServiceCall(
            "apigateway.amazonaws.com", "lambda:InvokeFunction", str((config or {}).get("FunctionArn", "")), source
        )
        try:
            require_service(call)
        except NotAuthorisedError as error:
            logger.warning("API %s: %s", api_id, error)
            return _server_error()
        answer = await invoke(integration, api_id, stage, path, method, *rest, **named)
        return _server_error() if answer[0] == 502 else answer  # an HTTP API says 500 when its function fails

    return invoke_checked


def _route_source(named: dict[str, Any], rest: tuple[Any, ...], path: str) -> str:
    """``METHOD/route`` as it stands in the permission's source ARN; ``$default`` is a route of its own."""
    route_key = str(named.get("route_key", rest[3] if len(rest) > 3 else "$default"))
    if route_key == "$default":
        return "$default"
    method, _, route_path = route_key.partition(" ")
    return f"{'*' if method == 'ANY' else method}{route_path or path}"


# --- what functions themselves need -----------------------------------------------------------------------------------


def _logs_checked(emit: Callable[..., None]) -> Callable[..., None]:
    def emit_checked(func: dict[str, Any], *given: Any, **named: Any) -> None:
        config = func.get("config") or func
        role, name = str(config.get("Role", "")), config.get("FunctionName", "unknown")
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
        try:
            require_role(role, "logs:CreateLogStream", f"{arn}:log-stream:*")
            require_role(role, "logs:PutLogEvents", f"{arn}:log-stream:*")
        except NotAuthorisedError as error:
            logger.warning("%s: log lines lost: %s", name, error)
            return
        if (config.get("TracingConfig") or {}).get("Mode") == "Active":
            _note_tracing(role, _TRACING_ACTIONS[:2])
        emit(func, *given, **named)

    return emit_checked


def require_failure_destination(role: str, destination: str) -> None:
    """Raise unless the function's role may send to its dead-letter target or failure destination."""
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}.get(
        destination.split(":")[2], "events:PutEvents"
    )
    require_role(role, action, destination)


def _failure_destination_checked(send: Callable[..., None]) -> Callable[..., None]:
    def send_checked(destination: str, name: str, event: Any, result: dict[str, Any]) -> None:
        role = str(((lambda_svc._functions.get(name) or {}).get("config") or {}).get("Role", ""))
        try:
            require_failure_destination(role, destination)
        except NotAuthorisedError as error:
            logger.warning("%s: failed event lost: %s", name, error)
            return
        send(destination, name, event, result)

    return send_checked


def install(settings: EmulatorSettings) -> None:
    """Put the questions in front of every place where a service acts."""
    _patch_step_functions()
    eventbridge._invoke_target = _rule_target_checked(eventbridge._invoke_target)
    eventbridge._dispatch_to_lambda = _dispatch_to_function
    sns._deliver_to_sqs = _queue_delivery_checked(sns._deliver_to_sqs)
    apigateway._invoke_lambda_proxy = _integration_checked(apigateway._invoke_lambda_proxy)
    lambda_svc._emit_lambda_logs = _logs_checked(lambda_svc._emit_lambda_logs)
    lambda_svc._route_async_failure = _failure_destination_checked(lambda_svc._route_async_failure)
    lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS = 0.2
