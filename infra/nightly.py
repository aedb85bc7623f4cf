"""The nightly state machine (夜間集計) in Amazon States Language: it moves, `shared.analytics.nightly` decides.

Plan ─► Compact ─► Nights, oldest first:
                     PlanStage ─► Stage: every analysis that can run: UNLOAD (or ask, fit a model, store), checks ─┐
                         ▲──────────────────────────────────────────────────────────────────────────────────────────┘
                     PlanScores ─► Apply ─► Publish
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.analytics.catalog import Analysis

State = dict[str, Any]

POLL_SECONDS, LONGEST_POLL_SECONDS = 1, 30
"""Most queries take two to five seconds; each look at a longer one waits twice as long as the one before. A look writes
9 of the 25,000 events that the history of an execution may hold, and one execution catches up on seven nights.
"""

ANALYSES_AT_ONCE = 5
COMPACTIONS_AT_ONCE = 2
WRITERS_AT_ONCE = 4
INPUTS_AT_ONCE = 3

_LATER = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
          "Lambda.TooManyRequestsException", "UnavailableError", "ConflictError"]  # fmt: skip
_BUSY = ["Athena.TooManyRequestsException", "Athena.InternalServerException", "Athena.SdkClientException"]


@dataclass(frozen=True, slots=True)
class NightlyParts:
    """What the machine works with: ARNs of its functions, and where it asks its queries."""

    plan_night: str
    compact: str
    plan_stage: str
    fit_models: str
    store_rows: str
    plan_scores: str
    apply_scores: str
    publish_reports: str
    workgroup: str
    database: str


def nightly_machine(parts: NightlyParts, analyses: Sequence[Analysis]) -> State:
    """The machine's definition. Input {"tenant"} (every night that is due) or {"tenant", "as_of"} (that one)."""
    return {
        "Comment": "One shop's nightly run",
        "StartAt": "Plan",
        "TimeoutSeconds": 6 * 3600,
        "States": {
            "Plan": {**_call(parts.plan_night), "ResultPath": "$.plan", "Next": "Compact"},
            "Compact": _each(
                "$.plan.compactions",
                COMPACTIONS_AT_ONCE,
                # A partition that stays uncompacted is only slower: the night goes on.
                {"Merge": {**_call(parts.compact), "Catch": [_catch("$.failure", "LeaveIt")], "End": True}}
                | {"LeaveIt": {"Type": "Pass", "End": True}},
                # Not null: CDK drops nulls when it writes JSON, and without a ResultPath the plan would be lost.
                ResultPath="$.compacted",
                Next="Nights",
            ),
            "Nights": _each(
                "$.plan.nights", 1, _night(parts, analyses), ResultSelector={"runs.$": "$"}, Next="Summarise"
            ),
            "Summarise": {
                "Type": "Pass",
                "Parameters": {
                    "runs.$": "$.runs",
                    "incomplete.$": "States.ArrayContains($.runs[*].state, 'incomplete')",
                },
                "Next": "AllComplete",
            },
            "AllComplete": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.incomplete", "BooleanEquals": True, "Next": "Incomplete"}],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
            "Incomplete": {
                "Type": "Fail",
                "Error": "Incomplete",
                "Cause": "An analysis or the write-back failed: see the record of the run. Everything else is done.",
            },
        },
    }


def _night(parts: NightlyParts, analyses: Sequence[Analysis]) -> dict[str, State]:
    catalog = [analysis.document() for analysis in analyses]
    return {
        "Begin": {
            "Type": "Pass",
            "Parameters": {"night.$": "$", "results": [], "catalog": catalog},
            "Next": "PlanStage",
        },
        "PlanStage": {**_call(parts.plan_stage), "ResultPath": "$.night", "Next": "AnyLeft"},
        "AnyLeft": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.night.queries[0]", "IsPresent": True, "Next": "Stage"}],
            "Default": "PlanScores",
        },
        "Stage": _each("$.night.queries", ANALYSES_AT_ONCE, _analysis(parts), ResultPath="$.results", Next="PlanStage"),
        "PlanScores": {
            **_call(parts.plan_scores),
            "InputPath": "$.night",
            "ResultPath": "$.write_back",
            "Catch": [_catch("$.failure", "NotApplied")],
            "Next": "Apply",
        },
        "Apply": _each(
            "$.write_back.slices",
            WRITERS_AT_ONCE,
            {"Write": {**_call(parts.apply_scores), "End": True}},
            ItemSelector={
                "tenant.$": "$.night.tenant",
                "as_of.$": "$.night.as_of",
                "slice.$": "$$.Map.Item.Value",
                "comparable.$": "$.write_back.comparable",
            },
            ResultPath="$.applied",
            Catch=[_catch("$.failure", "NotApplied")],
            Next="Publish",
        ),
        "NotApplied": {
            "Type": "Pass",
            "Parameters": {"night.$": "$.night", "catalog.$": "$.catalog", "applied": {"error.$": "$.failure"}},
            "Next": "Publish",
        },
        "Publish": {**_call(parts.publish_reports), "End": True},
    }


def _analysis(parts: NightlyParts) -> dict[str, State]:
    """One analysis: write its rows, then check them. A failure is its result, not the end of the others."""
    return {
        "MadeBy": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.made_by", "IsPresent": True, "Next": "Inputs"}],
            "Default": "Unload",
        },
        **_query(parts, "Unload", "$.query", "$.unloaded", "Check"),
        **_made_by_function(parts),
        **_query(parts, "Check", "$.checks", "$.checked", "ReadChecks"),
        "ReadChecks": {
            **_athena("getQueryResults", {"QueryExecutionId.$": "$.checked.QueryExecutionId"}),
            "ResultSelector": {"rows.$": "$.ResultSet.Rows"},
            "ResultPath": "$.found",
            "Next": "Found",
        },
        "Found": {
            "Type": "Pass",
            "Parameters": {
                "name.$": "$.name",
                "checks.$": "$.found.rows",
                "scanned_bytes.$": "$.unloaded.Statistics.DataScannedInBytes",
                "milliseconds.$": "$.unloaded.Statistics.TotalExecutionTimeInMillis",
                "check_bytes.$": "$.checked.Statistics.DataScannedInBytes",
                "check_milliseconds.$": "$.checked.Statistics.TotalExecutionTimeInMillis",
            },
            "End": True,
        },
        "Broken": {"Type": "Pass", "Parameters": {"name.$": "$.name", "error.$": "$.failure"}, "End": True},
    }


def _made_by_function(parts: NightlyParts) -> dict[str, State]:
    """Rows that SQL cannot make: their inputs are asked for, a function makes columns of them, another stores those."""
    return {
        "Inputs": _each(
            "$.inputs",
            INPUTS_AT_ONCE,
            {
                **_query(parts, "Ask", "$.query", "$.asked", "Asked", broken="NotAsked"),
                "Asked": {
                    "Type": "Pass",
                    "Parameters": {
                        "name.$": "$.name",
                        "location.$": "$.asked.ResultConfiguration.OutputLocation",
                        "scanned_bytes.$": "$.asked.Statistics.DataScannedInBytes",
                    },
                    "End": True,
                },
                "NotAsked": {"Type": "Pass", "Parameters": {"name.$": "$.name", "error.$": "$.failure"}, "End": True},
            },
            ResultPath="$.inputs",
            Catch=[_catch("$.failure", "Broken")],
            Next="Fit",
        ),
        "Fit": {
            **_call(parts.fit_models),
            "ResultSelector": {
                "key.$": "$.key",
                "Statistics": {
                    "DataScannedInBytes.$": "$.scanned_bytes",
                    "TotalExecutionTimeInMillis.$": "$.milliseconds",
                },
            },
            "ResultPath": "$.unloaded",
            "Catch": [_catch("$.failure", "Broken")],
            "Next": "Store",
        },
        "Store": {
            **_call(parts.store_rows),
            "Parameters": {
                "tenant.$": "$.tenant",
                "as_of.$": "$.as_of",
                "name.$": "$.name",
                "columns.$": "$.columns",
                "key.$": "$.unloaded.key",
            },
            "ResultPath": "$.stored",
            "Catch": [_catch("$.failure", "Broken")],
            "Next": "Check",
        },
    }


def _query(
    parts: NightlyParts, name: str, sql: str, result: str, following: str, *, broken: str = "Broken"
) -> dict[str, State]:
    """Start a query, look until it has ended, leave its execution at `result`."""
    refused = f"{name}Refused"
    return {
        name: {
            **_athena(
                "startQueryExecution",
                {
                    "QueryString.$": sql,
                    "WorkGroup": parts.workgroup,
                    "QueryExecutionContext": {"Database": parts.database},
                },
                broken,
            ),
            "ResultPath": result,
            "Next": f"{name}Look",
        },
        f"{name}Look": {
            **_athena("getQueryExecution", {"QueryExecutionId.$": f"{result}.QueryExecutionId"}, broken),
            "OutputPath": "$",
            "ResultSelector": {"execution.$": "$.QueryExecution"},
            "ResultPath": "$.look",
            "Next": f"{name}Ended",
        },
        f"{name}Ended": {
            "Type": "Choice",
            "Choices": [
                _state_is("SUCCEEDED", f"{name}Note"),
                _state_is("FAILED", refused),
                _state_is("CANCELLED", refused),
            ],
            "Default": f"{name}Wait",
        },
        f"{name}Wait": {**_longer_each_time(f"{name.lower()}_seconds"), "Next": f"{name}Look"},
        f"{name}Note": {
            "Type": "Pass",
            "InputPath": "$.look.execution",
            "ResultPath": result,
            "Next": following,
        },
        refused: {
            "Type": "Pass",
            "Parameters": {"name.$": "$.name", "error.$": "$.look.execution.Status"},
            "End": True,
        },
    }


def _state_is(state: str, following: str) -> State:
    return {"Variable": "$.look.execution.Status.State", "StringEquals": state, "Next": following}


def _longer_each_time(kept: str) -> State:
    """A wait that remembers at `kept` how long it was, and is twice as long the next time."""
    last = f"$states.input.{kept}"
    seconds = f"$exists({last}) ? $min([{last} * 2, {LONGEST_POLL_SECONDS}]) : {POLL_SECONDS}"
    return {
        "Type": "Wait",
        "QueryLanguage": "JSONata",
        "Seconds": f"{{% {seconds} %}}",
        "Output": f"{{% $merge([$states.input, {{'{kept}': {seconds}}}]) %}}",
    }


def _athena(action: str, parameters: Mapping[str, Any], broken: str = "Broken") -> State:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:athena:{action}",
        "Parameters": dict(parameters),
        "Retry": [_retry(_BUSY)],
        "Catch": [_catch("$.failure", broken)],
    }


def _call(function: str) -> State:
    return {"Type": "Task", "Resource": function, "Retry": [_retry(_LATER)]}


def _retry(errors: Sequence[str]) -> State:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "JitterStrategy": "FULL",
    }


def _catch(path: str, following: str) -> State:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": path, "Next": following}


def _each(items: str, at_once: int, states: Mapping[str, State], **rest: Any) -> State:
    return {
        "Type": "Map",
        "ItemsPath": items,
        "MaxConcurrency": at_once,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": next(iter(states)),
            "States": dict(states),
        },
        **rest,
    }
