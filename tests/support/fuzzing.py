"""Mutations, seeded, of bytes and of what they mean; and a process that survives none of them.

A kind is a class with `cases(rng)`, which yields inputs, and `outcome(case)`, which reads one and
says what became of it in a word. What an input may do is to be refused with a GovernanceError,
or to be read as what it is. A traceback, a crash, an altered input that passes for the one it was
made from, or more than `SECONDS` fail the kind.
"""

import json
import multiprocessing
import random
import resource
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from governance.errors import GovernanceError

SECONDS = 20
MEMORY = 4 * 2**30
HOSTILE = (
    None, True, False, -1, 0, 1, 2**31, 2**63, -(2**63), 10**40, 10**300, 0.5, -0.0, 1e308, -1e308,
    5e-324, "", " ", "AAAA", "a" * 400, "\0", "\n", "\ud800", "\u202e", "../../x", "/etc/passwd",
    "²", "2026-13-45T99:99:99Z", "0" * 64, "nan", "models:/x/1", [], {}, [None], {"": None},
    [[[[[[]]]]]], "%s%n", "<script>", "=1+1",
)  # fmt: skip


class TooLongError(BaseException):
    """Nothing that reads may catch it."""


class PassedError(Exception):
    """An altered input was taken for the one that it was made from."""


@dataclass
class Found:
    """What became of the inputs of a kind."""

    cases: int = 0
    slowest: float = 0.0
    outcomes: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)

    def line(self, name):
        said = ", ".join(f"{count} {word}" for word, count in sorted(self.outcomes.items()))
        return f"{name}: {self.cases} cases, slowest {self.slowest:.2f} s: {said}"


def hammered(kind, count, seed, scratch):
    """Read so many inputs of a kind in a process with a limit of memory."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_read_all, args=(kind, count, seed, scratch, theirs))
    child.start()
    theirs.close()
    found, last = Found(), "before the first case"
    while True:
        try:
            said = ours.recv()
        except EOFError:
            break
        if isinstance(said, str):
            last = said
            continue
        word, seconds, problem = said
        found.cases += 1
        found.slowest = max(found.slowest, seconds)
        found.outcomes[word] += 1
        if problem:
            found.wrong.append(f"{last}: {problem}")
    child.join()
    if child.exitcode:
        found.wrong.append(f"the process ended with {child.exitcode} at {last}")
    return found


def _read_all(kind, count, seed, scratch, pipe):
    with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123 - no Path there
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    signal.signal(signal.SIGALRM, _late)
    reader = kind(scratch)
    rng = random.Random(f"{kind.__name__} {seed}")  # noqa: S311 - no secret
    for index, case in zip(range(count), reader.cases(rng), strict=False):
        pipe.send(f"case {index} of seed {seed}, {str(case)[:300]!r}")
        pipe.send(_read(reader, case))
    pipe.close()


def _late(_number, _frame):
    raise TooLongError


def _read(reader, case):
    begun, problem = time.monotonic(), None
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        word = reader.outcome(case)
    except GovernanceError as error:
        # What a person is shown must be printable to its end.
        word = "refused" if str(error).encode(errors="replace") else "refused without a word"
    except PassedError as error:
        word, problem = "PASSED", str(error)
    except TooLongError:
        word, problem = "TOO LONG", f"over {SECONDS} s"
    except BaseException:  # noqa: BLE001 - whatever it is, it is wrong
        word, problem = "TRACEBACK", traceback.format_exc()[-2500:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return word, time.monotonic() - begun, problem


# Of bytes ----------------------------------------------------------------------------------------


def bent(content, rng):
    """Bytes changed in one to four places."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        some = rng.randrange(1, 65)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at : at + some] = rng.randbytes(some)
            case 2:
                del data[at : at + some]
            case 3:
                data[at:at] = data[at : at + some]
            case 4:
                del data[at:]
            case 5:
                data[at : at + 4] = rng.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")
                )
            case _:
                other = rng.randrange(len(data) + 1)
                data[at : at + some] = data[other : other + some]
    return bytes(data)


# Of data -----------------------------------------------------------------------------------------


def places(data, path=()):
    """Path of every value in plain data."""
    yield path
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from places(data[key], (*path, key))


def changed(data, path, change):
    """Plain data in which one value is another; `change` gets what holds it and its key."""
    if not path:
        return change({"": data}, "") or None
    copy = json.loads(json.dumps(data))
    home = copy
    for key in path[:-1]:
        home = home[key]
    change(home, path[-1])
    return copy


def hostile(rng):
    """A change of one value into something it should not be."""
    value = rng.choice(HOSTILE)

    def change(home, key):
        match rng.randrange(10):
            case 0 if isinstance(home, dict):
                del home[key]
            case 1 if isinstance(home, dict):
                home[f"{key}x"] = home.pop(key)
            case 2 if isinstance(home, list):
                home.append(home[key])
            case 3 if isinstance(home, dict) and len(home) > 1:
                other = rng.choice(sorted(home))
                home[key], home[other] = home[other], home[key]
            case 4 if isinstance(home[key], str):
                home[key] = bent(home[key].encode(), rng).decode(errors="surrogateescape")
            case 5 if isinstance(home[key], int | float):
                home[key] = home[key] * rng.choice((-1, 2, 10**6, 1e300))
            case _:
                home[key] = value

    return change


def mutated(data, rng):
    """Plain data changed in one or two places."""
    for _ in range(rng.choice((1, 1, 2))):
        paths = [path for path in places(data) if path]
        if not paths:
            return data
        data = changed(data, rng.choice(paths), hostile(rng))
    return data


def lines(text, rng):
    """A text of lines, such as TOML or YAML, changed in one to three of them."""
    kept = text.split("\n")
    words = (
        "1e999", "nan", "-inf", "9" * 100, "true", '"', "'''", '"""', "[", "[[[[[[", "{", "a" * 300,
        "\0", "0x", "1_", "2026-99-99", "&a", "*a", "!!python/object:os.system", "<<: *a", "\ud800",
        ".".join("abc" * 30), "'AAAA'", '"\\uD800"', "- " * 40, "? ", "---", "[x]", "[[x]]", "1:1",
    )  # fmt: skip
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(kept))
        match rng.randrange(6):
            case 0:
                kept.insert(at, kept[rng.randrange(len(kept))])
            case 1 if len(kept) > 1:
                del kept[at]
            case 2:
                kept.insert(at, rng.choice(words))
            case 3:
                head, mark, _ = kept[at].partition("=" if "=" in kept[at] else ":")
                kept[at] = f"{head}{mark} {rng.choice(words)}"
            case 4:
                kept[at] = bent(kept[at].encode(errors="replace"), rng).decode(errors="replace")
            case _:
                words_of = kept[at].split(" ")
                words_of[rng.randrange(len(words_of))] = rng.choice(words)
                kept[at] = " ".join(words_of)
    return "\n".join(kept)
