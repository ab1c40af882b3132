#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [NAME...] | list - what `./dev test` runs. docs/TESTING.md describes the kinds of test.

Two lanes side by side: the gates and the gcc build with all its tests; the clang ASan+UBSan build with unit tests and
transcripts, then the TSan build with the concurrency set. Cases that measure time run last, alone.
With names, only tests whose name contains one of them; those of the sanitizer lanes only when a name begins with
asan or tsan. The last line is `N passed, N failed, N skipped`.
"""
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import traceback

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from harness import case, fuzz, transcript, verdict  # noqa: E402  (needs the path above)

GATES = ("layers", "spdx", "size", "format", "docs", "rfc", "text", "fuzz")
DIRS = {"gcc": "build", "asan": "build-asan", "tsan": "build-tsan"}
# Folders whose unit tests run threads: these are repeated under TSan.
CONCURRENT = ("runtime", "service/store", "service/spool", "service/dir", "sys")
TRANSCRIPT_LANES = 4
E2E_LANES = 3
AGAIN_MAX = 6  # so many cases may run again alone; more of them, and it is not the machine
CASES = ("durability", "e2e")  # folders of Python cases; the long ones first


class Report:
    """Counts and prints results, from any thread."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.begun = time.monotonic()
        self.mutex = threading.Lock()
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}
        self.failed = []
        self.again = []  # (name, function that runs it alone): failed beside others

    def wants(self, name):
        """The user asked for this test, or for all."""
        if not self.wanted:
            return True
        sanitizer = name.startswith(("asan/", "tsan/"))
        return any(w in name and sanitizer == w.startswith(("asan", "tsan")) for w in self.wanted)

    def line(self, word, text):
        print(f"[{time.monotonic() - self.begun:6.1f}] {word:4} {text}", flush=True)

    def say(self, text):
        with self.mutex:
            self.line("", text)

    def result(self, word, name, seconds, detail=""):
        with self.mutex:
            self.counts[word] += 1
            if word == "FAIL":
                self.failed.append(name)
            short = f"  ({detail})" if detail and word != "FAIL" else ""
            self.line(word, f"{name}  {seconds:.2f} s{short}")
            if detail and word == "FAIL":
                print("\n".join("         " + x for x in detail.rstrip().splitlines()), flush=True)

    def later(self, name, detail, run):
        """It failed beside others, in a way that a busy machine may explain: it runs again, alone, and that counts."""
        with self.mutex:
            few = len(self.again) < AGAIN_MAX
            if few:
                self.again.append((name, run))
                self.line("late", f"{name}  failed, runs again alone")
                print("\n".join("         " + x for x in detail.rstrip().splitlines()), flush=True)
        if not few:
            self.result("FAIL", name, 0.0, detail)

    def finish(self):
        if self.again:
            print("ran again alone:\n" + "\n".join("  " + name for name, _ in self.again))
        if self.failed:
            print("failed:\n" + "\n".join("  " + name for name in self.failed))
        print(f"{self.counts['ok']} passed, {self.counts['FAIL']} failed, {self.counts['skip']} skipped", flush=True)
        if not sum(self.counts.values()):
            print("run.py: no test has such a name; `./dev test list` shows them", file=sys.stderr)
            return 2
        return 1 if self.failed else 0


# --- the kinds of test ---------------------------------------------------------------------------


def run_gate(report, name):
    begun = time.monotonic()
    quiet = ["--quiet"] if name == "layers" else []
    done = subprocess.run([os.path.join(ROOT, "tools/dev/check-" + name)] + quiet, cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    report.result("FAIL" if done.returncode else "ok", "gates/" + name, time.monotonic() - begun,
                  done.stdout if done.returncode else "")


def run_selftest(report):
    """The harness's own parts: patterns, parsers, comparers."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "harness.selftest"], cwd=TESTS, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    report.result("FAIL" if done.returncode else "ok", "gates/harness", time.monotonic() - begun,
                  done.stdout if done.returncode else "")


def build(report, kind):
    """Build one kind; a failure counts as a failed test."""
    begun = time.monotonic()
    done = subprocess.run(["nice", "-n", "0" if kind == "gcc" else "5", "./dev", "build", kind], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        report.result("FAIL", f"build/{kind}", time.monotonic() - begun, done.stdout)
        return False
    report.say(f"built {DIRS[kind]}  {time.monotonic() - begun:.1f} s")
    return True


def unit_tests(kind):
    """Names of the unit tests of a build; of the TSan build only those with threads."""
    out = subprocess.run(["meson", "introspect", "--tests", DIRS[kind]], cwd=ROOT, text=True, capture_output=True,
                         check=True).stdout
    return [t["name"] for t in json.loads(out) if kind != "tsan" or t["name"].startswith(CONCURRENT)]


def run_units(report, kind, prefix, names=None):
    names = names or [n for n in unit_tests(kind) if report.wants(f"{prefix}unit/{n}")]
    if not names:
        return
    folder = os.path.join(ROOT, DIRS[kind])
    log = os.path.join(folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1",
               TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1")
    subprocess.run(["meson", "test", "-C", folder, "--no-rebuild", "-t", "1" if kind == "gcc" else "4", *names],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, check=False)
    with open(log, encoding="utf-8") as f:
        for line in f:
            t = json.loads(line)
            name = t["name"].split(" / ")[-1]
            word = {"OK": "ok", "SKIP": "skip"}.get(t["result"], "FAIL")
            output = (t.get("stdout") or "") + (t.get("stderr") or "")
            detail = "the program says so" if word == "skip" else ""
            if word == "FAIL":
                detail = f"{t['result']}\n" + "\n".join(output.splitlines()[-40:])
            late = t["result"] == "TIMEOUT" or word == "FAIL" and not verdict.REPORT.search(output)
            if late and verdict.BESIDE in os.environ:
                report.later(f"{prefix}unit/{name}", detail,
                             lambda name=name: run_units(report, kind, prefix, [name]))
                continue
            report.result(word, f"{prefix}unit/{name}", t["duration"], detail)


def run_fuzz(report):
    """The inputs in the tree through each fuzz target of the ASan+UBSan build: no time is spent on new ones."""
    folder = os.path.join(ROOT, DIRS["asan"])
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1", **fuzz.environment())
    for name in fuzz.targets(folder):
        if not report.wants("asan/fuzz/" + name):
            continue
        begun = time.monotonic()
        paths = fuzz.unpack(name, os.path.join(folder, "corpus", name))
        if not paths:
            report.result("FAIL", "asan/fuzz/" + name, 0.0, f"tests/corpus has no input for {name}")
            continue
        done = subprocess.run([fuzz.program(folder, name), "-timeout=60", *paths], text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                              env=env)
        detail = "\n".join(done.stdout.splitlines()[-40:]) if done.returncode else f"{len(paths)} inputs"
        report.result("FAIL" if done.returncode else "ok", "asan/fuzz/" + name, time.monotonic() - begun, detail)


def run_transcripts(report, kind, prefix, only_concurrent=False):
    chosen = [t for t in transcript.load() if report.wants(f"{prefix}transcripts/{t.name}")]
    if only_concurrent:
        chosen = [t for t in chosen if t.concurrent]
    if not chosen:
        return

    def on_result(name, problem, seconds, beside=True):
        played = next((t for t in chosen if t.name == name), None)  # None: what a shared server did wrong
        if problem and played and beside:
            runner = transcript.Runner(DIRS[kind], 1, lambda *said: on_result(*said, beside=False))
            report.later(f"{prefix}transcripts/{name}", problem, lambda: runner.run([played]))
        else:
            report.result("FAIL" if problem else "ok", f"{prefix}transcripts/{name}", seconds, problem or "")

    transcript.Runner(DIRS[kind], TRANSCRIPT_LANES, on_result).run(chosen)


def e2e_cases():
    """{KIND/FILE: [(case name, function)]} of the folders CASES."""
    found = {}
    for kind in CASES:
        for name in sorted(os.listdir(os.path.join(TESTS, kind))):
            if not name.endswith(".py") or name.startswith("_"):
                continue
            path = os.path.join(TESTS, kind, name)
            spec = importlib.util.spec_from_file_location(f"{kind}_{name[:-3]}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found[f"{kind}/{name[:-3]}"] = [(f"{kind}/{name[:-3]}/{n[len('case_'):]}", f)
                                            for n, f in vars(module).items() if n.startswith("case_")]
    return found


def run_case(report, file, name, function, beside):
    begun = time.monotonic()
    t = case.Case(file)
    try:
        function(t)
    except case.Skip as e:
        report.result("skip", name, time.monotonic() - begun, str(e))
    except Exception as e:  # pylint: disable=broad-except  (a case may raise anything; all of it is its failure)
        detail = traceback.format_exc()[-4000:] + "\n" + (file.shared.log_tail() if file.shared else "")
        if beside and not isinstance(e, verdict.Evidence):
            report.later(name, detail, lambda: run_e2e_file(report, name, [(name, function)], beside=False))
        else:
            report.result("FAIL", name, time.monotonic() - begun, detail)
    else:
        report.result("ok", name, time.monotonic() - begun, "; ".join(t.notes))
    finally:
        t.close()


def run_e2e_file(report, name, cases, beside):
    file = case.File(DIRS["gcc"])
    for case_name, function in cases:
        run_case(report, file, case_name, function, beside)
    problem = file.finish()
    if problem:
        report.result("FAIL", f"{name}/server", 0.0, problem)


def run_e2e(report, alone):
    queue = []
    for name, cases in e2e_cases().items():
        mine = [(n, f) for n, f in cases if report.wants(n) and getattr(f, "alone", False) == alone]
        if mine:
            queue.append((name, mine))
    mutex = threading.Lock()

    def lane():
        while True:
            with mutex:
                if not queue:
                    return
                name, cases = queue.pop(0)
            run_e2e_file(report, name, cases, beside=not alone)

    run_threads([lane] * (1 if alone else E2E_LANES))


# --- the lanes -----------------------------------------------------------------------------------


def run_threads(functions):
    """All at once; what one of them raises comes out here, when all have ended."""
    raised = []

    def run(function):
        try:
            function()
        except Exception as e:  # pylint: disable=broad-except
            raised.append(e)

    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def gates(report):
    chosen = [g for g in GATES if report.wants("gates/" + g)]
    jobs = [lambda g=g: run_gate(report, g) for g in chosen]
    if report.wants("gates/harness"):
        jobs.append(lambda: run_selftest(report))
    run_threads(jobs)


def gcc_lane(report):
    if not build(report, "gcc"):
        return
    if report.wants("gates/headers"):
        run_gate(report, "headers")
    run_units(report, "gcc", "")
    run_transcripts(report, "gcc", "")
    run_e2e(report, alone=False)


def sanitizer_lane(report):
    if build_wanted(report, "asan") and build(report, "asan"):
        run_units(report, "asan", "asan/")
        run_fuzz(report)
        run_transcripts(report, "asan", "asan/")
    if build_wanted(report, "tsan") and build(report, "tsan"):
        run_units(report, "tsan", "tsan/")
        run_transcripts(report, "tsan", "tsan/", only_concurrent=True)


def build_wanted(report, kind):
    return not report.wanted or any(w.startswith(kind) for w in report.wanted)


def show_list():
    for gate in GATES + ("headers", "harness"):
        print("gates/" + gate)
    if os.path.exists(os.path.join(ROOT, "build", "build.ninja")):
        print("\n".join("unit/" + n for n in unit_tests("gcc")))
    print("\n".join("transcripts/" + t.name for t in transcript.load()))
    for cases in e2e_cases().values():
        print("\n".join(name for name, _ in cases))
    print("asan/unit/*  asan/transcripts/*  asan/fuzz/*  tsan/unit/*  tsan/transcripts/*")


def main():
    wanted = [w for w in sys.argv[1:] if w != "all"]
    if wanted == ["list"]:
        show_list()
        return 0
    os.environ["BARID_TESTS_WANTED"] = " ".join(wanted)  # some run only when they are named
    report = Report(wanted)
    os.environ[verdict.BESIDE] = "1"
    gates(report)
    lanes = []
    no_build = ("asan", "tsan", "gates/harness") + tuple("gates/" + g for g in GATES)
    if not wanted or any(not w.startswith(no_build) for w in wanted):
        lanes.append(lambda: guard(report, "gcc lane", gcc_lane))
    lanes.append(lambda: guard(report, "sanitizer lane", sanitizer_lane))
    run_threads(lanes)
    del os.environ[verdict.BESIDE]
    for _, run in list(report.again):
        run()
    if os.path.exists(os.path.join(ROOT, "build", "barid")):
        run_e2e(report, alone=True)
    return report.finish()


def guard(report, name, lane):
    """A lane that breaks down is a failure, never silence."""
    try:
        lane(report)
    except Exception:  # pylint: disable=broad-except
        report.result("FAIL", name, 0.0, traceback.format_exc())


sys.exit(main())
