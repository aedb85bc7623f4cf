"""Names that both the templates and the command line must know. No CDK here: the command starts fast."""

from __future__ import annotations

PREFIX = "/matakite"
"""First part of every SSM parameter name."""

DATA_STACK = "MatakiteData"
STACK = "Matakite"
DASHBOARD = "Matakite"
MACHINES = "matakite-"
"""How the name of every state machine begins."""
IMPORT_MACHINE = "matakite-import-orders"
NIGHTLY_MACHINE = "matakite-nightly"
SWEEP_MACHINE = "matakite-sweep-erased"
GLUE_DATABASE = "matakite"
ATHENA_WORKGROUP = "matakite"


def scenario_machine(scenario: str) -> str:
    """Name of the state machine a scenario compiles to."""
    return f"matakite-scenario-{scenario.replace('_', '-')}"


CONFIGURATION_SET = "matakite"
"""Of SES: every mail goes through it, and its events come back by it."""

AMAZON_QUEUE = "AmazonQueueArn"
"""Output of the stack: the queue Amazon's order notices are sent to."""
RECEIPTS_TOPIC = "SmsReceiptsTopic"
"""Output: where SMS receipts are published."""
