"""Fills a server with a believable store: believable.py URL [BUILDS] [CASES].

The same each time, except that times are counted back from now. BUILDS is the number of builds of each project, CASES
that of the test cases of the largest build.
"""

import base64
import datetime
import hashlib
import http.client
import json
import random
import sys
import urllib.parse

DAY = datetime.timedelta(days=1)
PEOPLE = ["mira", "jonas", "priya", "tomo", "chen"]
HOSTS = [f"builder-{nth:02d}.eu-west.ci.acme.example" for nth in range(1, 7)]
BRANCHES = ["main"] * 10 + ["release-2.4"] * 2 + ["feature/checkout-redesign", "feature/ledger-v2", "fix/timezones",
                                                  "refactor/a-branch-with-a-name-that-nobody-should-have-given-to-a-branch"]
# Slug, name, number of test cases, how a suite and a test are called, whether builds choose their ids.
PROJECTS = [
    ("payments-api", "Payments API", 900, "tests.{0}.test_{1}", "test_{2}_{3}[{4}]", True),
    ("payments-batch", "Payments batch", 300, "com.acme.billing.{1}.{1}Test", "{2}{3}WhenInputIsHuge{4}", False),
    ("web-shop", "Storefront (web)", 600, "src/components/{1}.test.tsx", "<{1}/> {2} the {3} ({4})", False),
    ("web-admin", "Back office (web)", 200, "src/admin/{1}.test.tsx", "{2} the {3} ({4})", True),
    ("search-engine", "Search engine", 1200, "search-{0}", "{1}::tests::{2}_{3}_{4}", True),
    ("edge-drivers", "Edge drivers", 150, "drivers", "{1}.{2}.{3}{4}", True),
    ("nightly-regulatory-reporting", "Regulatory reporting, EU and APAC, nightly full reload and reconciliation", 250,
     "acme.example/pipeline/{1}", "Test{2}/{3}/case_{4}", False),
    ("infrastructure", "Infrastructure (plans and applies, all regions)", 0, "", "", True),
]
TEAMS = {"payments": ["money", "tier-1"], "web": ["shop"], "search": ["shop", "tier-1"], "nightly": ["money"]}
KINDS = ["unit", "integration", "api", "contract"]
NOUNS = ["invoice", "refund", "ledger", "cart", "session", "token", "webhook", "currency", "tax", "customer", "shipment",
         "coupon", "cursor", "shard", "ranker", "parser"]
VERBS = ["creates", "rejects", "updates", "rounds", "expires", "locks", "merges", "validates", "retries", "escapes"]
REFUSED = {
    "type": "ConnectionError", "message": "Connection refused: ledger.internal:5432",
    "text": "tests/integration/test_ledger.py:88: in test_it\n    client.post(\"/v1/payments\", json=payload)\n"
            "src/payments/http.py:141: in post\n    return self._send(\"POST\", url)\n"
            "/usr/lib/python3/site-packages/urllib3/connection.py:200: in _new_conn\n    raise NewConnectionError(self)\n"
            "E   Connection refused: ledger.internal:5432",
}


class Client:
    """A client with a connection that stays open."""

    def __init__(self, url):
        self.base = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=120)

    def send(self, method, path, document, user="ci-bot"):
        headers = {"Content-Type": "application/json"}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{user}-pw".encode()).decode()
        self.connection.request(method, self.base.path + path, json.dumps(document), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]}")
        return answer.getheader("Location")


def names(project):
    """The suite and the name of each test of a project."""
    _, _, count, suite, name, _ = project
    for nth in range(count):
        words = [KINDS[nth % 4], NOUNS[nth % 16], VERBS[nth // 16 % 10], NOUNS[nth * 7 % 16], str(nth // 160)]
        yield suite.format(*words), name.format(*words)


def cases(project, rng, branch, left):
    """The test cases of the build that `left` others follow."""
    slug = project[0]
    for nth, (suite, name) in enumerate(names(project)):
        base = random.Random(f"{slug}{nth}").lognormvariate(-3.5, 1.3)
        case = {"suite": suite, "name": name, "status": "passed", "duration": round(base * rng.uniform(0.8, 1.3), 4)}
        if nth in (7, 19) and left < 20:
            case["duration"] *= 5
        if nth % 43 == 0:
            case |= {"status": "skipped", "failure": {"message": "needs a GPU"}}
        elif nth in (101, 102, 103) and left < 9 and branch == "main" and slug in ("payments-api", "payments-batch"):
            case |= {"status": "failed", "failure": REFUSED, "stdout": "retry 1\nretry 2\nretry 3\n"}
        elif nth in (56, 156) and rng.random() < 0.15:
            case |= {"status": "flaky", "retries": 1, "failure": {"type": "TimeoutError", "message": "deadlock detected"}}
        elif nth in (60, 120) and rng.random() < 0.08:
            case |= {"status": "failed", "failure": {
                "type": "AssertionError", "message": f"timed out after 30.{rng.randrange(999)} s waiting for #spinner to vanish",
                "text": "waitFor #spinner\n    at wait (src/test/wait.ts:21:11)"}}
        elif branch == "feature/ledger-v2" and nth in (130, 131):
            case |= {"status": "failed", "failure": {
                "type": "ValueError", "message": "ledger v2: expected 14 columns, got 13",
                "text": "  File \"src/ledger.py\", line 12, in check\nValueError: expected 14 columns, got 13"}}
        yield case


def output(step, rng, success):
    lines = [f"\x1b[36m$ {step}\x1b[0m"]
    for nth in range(rng.choice([30, 80, 200])):
        lines.append(f"\x1b[1;32m   Compiling\x1b[0m part-{nth} v0.{nth % 9}" if rng.random() < 0.3
                     else f"[{nth // 60:02d}:{nth % 60:02d}] {step}: chunk {nth} in {rng.randint(1, 900)} ms")
    if not success:
        lines += ["\x1b[1;31merror[E0308]\x1b[0m: mismatched types", "  \x1b[1;34m-->\x1b[0m src/ledger.rs:41:9"]
    return "\n".join(lines) + "\n"


def build(project, nth, builds, now):
    """A build of a project: its document, the id that it chooses, and who sends it."""
    slug, _, count, _, _, has_id = project
    rng = random.Random(f"{slug}/{nth}")
    left = builds - 1 - nth
    start = now - left * (30 * DAY / builds) - rng.random() * DAY / 8
    if slug == "payments-batch":
        start -= 4 * DAY
    branch, system = rng.choice(BRANCHES), rng.choice(["linux"] * 4 + ["macos"])
    host = "mac-mini-2.office.acme.example" if system == "macos" else rng.choice(HOSTS)
    number = 1200 + nth
    client = {
        "host": host, "arch": f"{system}-x86_64", "branch": branch, "build_number": str(number),
        "commit": hashlib.sha1(f"{slug}{nth}".encode()).hexdigest(), "job": "test",
        "job_url": f"https://ci.acme.example/{slug}/runs/{number}", "author": rng.choice(PEOPLE),
    }
    steps, at = [], start

    def step(name, success, seconds, **more):
        nonlocal at
        end = at + datetime.timedelta(seconds=seconds)
        steps.append({"name": name, "success": success, "started": at.isoformat(), "finished": end.isoformat(),
                      "output": output(name, rng, success), "exit_code": 0 if success else 1, **more})
        at = end

    step("checkout", True, rng.uniform(2, 9))
    compiles = rng.random() > 0.04
    step("compile", compiles, rng.uniform(40, 200))
    if not count:
        for region in ["eu-west", "eu-central", "us-east"]:
            step(f"plan {region}", rng.random() > 0.05, rng.uniform(10, 60))
    elif compiles:
        tests = list(cases(project, rng, branch, left))
        failed = any(test["status"] == "failed" for test in tests)
        step("test", not failed, sum(test["duration"] for test in tests) / 8 + 1, tests=tests)
    tags = [system] + (["nightly"] if nth % 24 == 0 else [])
    if branch not in ("main", "release-2.4"):
        tags.append(f"pr-{4000 + nth}")
    document = {
        "success": all(step["success"] for step in steps), "started": start.isoformat(), "finished": at.isoformat(),
        "tags": tags, "client": client, "results": steps,
        "components": [{"type": "kernel", "name": ["6.6", "6.12"][nth % 2]}] if slug == "edge-drivers" else [],
    }
    return document, str(number) if has_id else None, rng.choice(PEOPLE) if rng.random() < 0.15 else "ci-bot"


def extremes(client, now, count):
    """A project with the longest names, a hundred tags and very many tests."""
    client.send("PUT", "/" + "extremes-" * 11, {"name": "Extremes " + "W" * 191})
    long = {"host": "h" * 200, "branch": "b" * 200, "note": "n" * 500, "commit": "c" * 64}
    progress = client.send("POST", "/" + "extremes-" * 11 + "/builds", {
        "incremental": True, "started": now.isoformat(), "tags": [f"{nth:03d}" + "T" * 97 for nth in range(100)], "client": long})
    piece = 50_000
    for begin in range(0, count, piece):
        tests = [{"suite": f"suite-{nth // 1000:04d}", "name": f"case-{nth:07d}", "status": "failed" if nth % 10_000 == 9 else "passed",
                  "duration": 0.001} for nth in range(begin, min(begin + piece, count))]
        client.send("POST", progress, {"name": f"part {begin // piece} " + "S" * 180, "success": True, "tests": tests})
    odd = [{"suite": "U" * 200, "name": "N" * 200, "status": "failed", "failure": {"message": "M" * 2000, "text": "X" * 2000}}]
    client.send("POST", progress, {"name": "L" * 200, "success": False, "output": "O" * 5000 + "\n", "tests": odd})
    client.send("DELETE", progress, {})


def fill(url, builds=60, count=1_000):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    client = Client(url)
    client.send("POST", "/api/v1/componenttypes", {"name": "kernel"})
    for version in ["6.6", "6.12"]:
        client.send("POST", "/api/v1/components", {"name": version, "componenttype": "kernel", "title": f"Linux {version}"})
    for slug, name, *_ in PROJECTS:
        client.send("PUT", f"/{slug}", {"name": name, "repository": f"https://github.com/acme/{slug}", "tags": TEAMS.get(slug.split("-")[0], []),
                                        "variant_by": ["tags:linux", "tags:macos", "client.job"]})
    client.send("PUT", "/brand-new", {"name": "Brand new"})
    for nth in range(builds):
        for project in PROJECTS:
            document, key, user = build(project, nth, builds, now)
            path = f"/{project[0]}/builds"
            client.send("PUT" if key else "POST", f"{path}/{key}" if key else path, document, user)
    running = client.send("POST", "/infrastructure/builds", {"incremental": True, "started": now.isoformat(), "client": {"branch": "main"}})
    client.send("POST", running, {"name": "plan eu-west", "success": True, "output": output("plan", random.Random(1), True)})
    client.send("POST", "/payments-api/issues", {
        "title": "The ledger is down for maintenance", "url": "https://tracker.acme.example/12", "note": "Until the new disks are in.",
        "match": {"message": "Connection refused: ledger.internal:*"}, "mute": True})
    extremes(client, now, count)


if __name__ == "__main__":
    fill(sys.argv[1], *map(int, sys.argv[2:]))
