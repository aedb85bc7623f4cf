"""A custom widget with a picture, a form and a button that calls back."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> str | dict[str, str]:
    """Draw; ``describe`` answers what the widget is."""
    if event.get("describe"):
        return {"markdown": "## 会員数\nお店の会員数を表示します。"}
    pressed = event.get("pressed")
    forms = event.get("widgetContext", {}).get("forms", {}).get("all", {})
    if pressed:
        return f"<p>押されました: {forms.get('count', '')}</p>"
    return (
        f"<h3>{event.get('shop')}</h3><script>alert(1)</script>"
        "<svg viewBox='0 0 100 20' width='100%'><rect width='60' height='20' fill='#2f7d6b'/></svg>"
        "<form><input name='count' value='12'></form>"
        "<a class='btn btn-primary'>更新</a>"
        f"<cwdb-action action='call' endpoint='{context.invoked_function_arn}'>{{\"pressed\": true}}</cwdb-action>"
        "<a>説明</a><cwdb-action action='html' display='popup'><h1>会員数とは</h1></cwdb-action>"
    )
