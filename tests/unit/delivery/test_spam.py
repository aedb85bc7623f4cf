"""No spam filter that a mailbox runs would hold one of our mails back (SpamAssassin, without network tests).

Every template with everything in it; with as little as it may have as well with `MATAKITE_FULL=1`.
"""

from __future__ import annotations

import mailbox
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from shared.delivery.channels.fake import MAIL
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT
from shared.delivery.lint import SENDER, UNSUBSCRIBE_URL, contexts, read_meta, template_names
from shared.delivery.render import ROOT, TemplateStore
from tests.amount import amount

SPAMASSASSIN = shutil.which("spamassassin")
BLOCKS_AT = 5.0
"""SpamAssassin's own line."""
KINDS = ("everything", "little")[: amount(2, sample=1)]
MOST = 2.0
"""What the content alone may cost: the rest is left for what a network says about a young domain."""
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

pytestmark = pytest.mark.skipif(SPAMASSASSIN is None, reason="the Debian package spamassassin is not installed")


@pytest.fixture(scope="module")
def scores(compiled: TemplateStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, str]]:
    """Subject of the test's own making → score and the rules that met, all mails in one run."""
    folder = tmp_path_factory.mktemp("spam")
    box = mailbox.mbox(folder / "box")
    for name in template_names(ROOT):
        meta = read_meta(ROOT / name)
        said = dict(zip(("everything", "little"), contexts(meta), strict=True))
        for kind in KINDS:
            if (ROOT / name / "mail.mjml").exists():
                box.add(_mail(f"{name} {kind}", compiled.render(name, MAIL, said[kind])))
    box.add(_mail("spam", {SUBJECT: "$$$ FREE $$$", TEXT: GTUBE, HTML: f"<p>{GTUBE}</p>"}))
    box.close()
    return _filtered(folder)


def _mail(name: str, parts: Mapping[str, str]) -> EmailMessage:
    """As SES builds it: both parts in UTF-8, and the headers of bulk mail."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"{SENDER.from_name} <{SENDER.from_address}>"
    mail["To"] = "hanako@example.com"
    mail["Subject"] = parts[SUBJECT]
    mail["Date"] = "Mon, 02 Mar 2026 10:00:00 +0900"
    mail["Message-ID"] = "<sample@shop.example.jp>"
    mail["List-Unsubscribe"] = f"<{UNSUBSCRIBE_URL}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["X-Template"] = name
    mail.set_content(parts[TEXT])
    mail.add_alternative(parts[HTML], subtype="html")
    return mail


def _filtered(folder: Path) -> dict[str, tuple[float, str]]:
    command = [str(SPAMASSASSIN), "--local", "--mbox", "--cf", "report_safe 0", "--cf", "use_bayes 0"]
    with (folder / "box").open("rb") as given, (folder / "out").open("wb") as out:
        subprocess.run(
            command, stdin=given, stdout=out, check=True, timeout=240, env={**os.environ, "HOME": str(folder)}
        )
    found = {}
    box = mailbox.mbox(folder / "out")
    for mail in box:
        said = " ".join(str(mail["X-Spam-Status"]).split())
        score = re.search(r"score=(-?[\d.]+)", said)
        assert score, said
        found[str(mail["X-Template"])] = (float(score[1]), said)
    box.close()
    return found


def test_no_mail_would_be_held_back(scores: dict[str, tuple[float, str]]) -> None:
    ours = {name: said for name, said in scores.items() if name != "spam"}
    assert len(ours) >= len(KINDS) * 40
    assert {name: said for name, (score, said) in ours.items() if score > MOST} == {}


def test_the_filter_does_hold_something_back(scores: dict[str, tuple[float, str]]) -> None:
    assert scores["spam"][0] >= BLOCKS_AT
