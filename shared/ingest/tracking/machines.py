"""Who is no reader: crawlers, programs, and pages a browser fetched before anybody asked (先読み)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_AGENTS = re.compile(
    # What crawlers call themselves; every large one has one of these words in its name. Cubot makes telephones.
    r"(?<!\bcu)bot\b|bots\b|robot|crawl|spider|slurp|scrap|archiver|fetcher|monitor(?:ing)?\b|uptime|pingdom|validator|"
    # Previews of links in chats and social networks.
    r"facebookexternalhit|facebookcatalog|meta-external|whatsapp|telegram|slack|discord|skypeuripreview|linkpreview|"
    r"embedly|vkshare|pinterest/|line-poker|hatena|snapchat|iframely|"
    # Search, advertising, assistants and audits that are no *bot.
    r"mediapartners|adsbot|google-inspectiontool|googleother|google-extended|feedfetcher|apis-google|bingpreview|"
    r"yahoo! ?slurp|y!j-|naver|yeti/|baidu|sogou|yisou|chatgpt-user|perplexity|anthropic|cohere-ai|lighthouse|"
    r"pagespeed|gtmetrix|ptst/|siteaudit|screaming frog|semrush|ahrefs|netcraft|nessus|nikto|zgrab|masscan|"
    # Programs that are no browser.
    r"^curl/|^wget|python-requests|python-urllib|aiohttp|httpx/|scrapy|okhttp|^java/|go-http-client|libwww|lwp::|"
    r"guzzle|axios/|^node-fetch|^undici|ruby|^php|perl|postman|insomnia|phantomjs|headlessshell|"
    # Image proxies and mail scanners.
    r"googleimageproxy|yahoomailproxy|proofpoint|mimecast|barracuda|safelinks",
    re.IGNORECASE,
)

_PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_PREFETCH = re.compile(r"prefetch|prerender|preview", re.IGNORECASE)

SERVER_LIBRARIES = re.compile(
    r"^(analytics-(python|node|ruby|java|go|php|\.?net|kotlin|swift|ios|android)|segment)", re.I
)
"""SDKs on a shop's own server: they speak for a visitor, whose browser is named in `context.userAgent`."""


def is_machine_agent(agent: str) -> bool:
    """Is this user agent no person's browser? An empty one says nothing.

    `HeadlessChrome` alone is no proof: assistants and tests act for people, and crawlers that use it add their name.
    """
    return bool(agent) and not SERVER_LIBRARIES.match(agent) and bool(_AGENTS.search(agent))


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Did a browser load the page before anybody asked for it? (header names in lower case)"""
    return any(_PREFETCH.search(headers.get(name, "")) for name in _PREFETCH_HEADERS)
