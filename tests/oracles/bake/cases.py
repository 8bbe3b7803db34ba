"""Bake files of our own making; what `docker buildx bake --print` says of each is recorded beside this file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Case:
    """One call of bake.

    Attributes:
        name: Unique.
        files: Text by name; all are given by `--file`, in this order.
        names: Targets asked for.
        options: `--set` and other flags.
        env: Added to the environment.
        beside: Files that lie there and are not named on the command line.
    """

    name: str
    files: Mapping[str, str]
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)


VARIABLES = """
variable "S" { default = "text" }
variable "N" { default = 7 }
variable "B" { default = true }
variable "L" { default = ["b", "a", "c"] }
variable "M" { default = { k = "v", "17" = "seventeen", z = "y" } }
variable "O" { default = [{ n = "one", t = ["x"] }, { n = "two", t = ["y", "z"] }] }
"""

# each is printed through jsonencode, so that its type shows
EXPRESSIONS = r"""
1 + 2 * 3
10 - 2 - 3
10 / 4
1 / 3
7 % 3
-7 % 3
7.5 % 2
1e3
0.5 + 0.25
100000000000000000000 + 1
"5" + 3
"a" + 1
true + 1
1 == 1
1 == "1"
"a" == "a"
true == "true"
null == null
[1] == [1]
{ a = 1 } == { a = 1 }
1 != 2
1 < 2
"1" < 2
2 >= 2
true && false
true || false
"true" && true
!false
!"false"
1 && true
-N
-(2 + 3) * 2
B ? "y" : "n"
B ? 1 : "one"
B ? [1] : ["a"]
B ? 1 : true
B ? null : "x"
false ? nope : "x"
true ? "x" : nope
"x" ? 1 : 2
null ? 1 : 2
"${S}-${N}"
"${N}"
"${L}"
"a${L}"
"a${null}"
"${null}"
"$${S}"
"%%{S}"
"a$b%c"
"tab\there \u00e9 \"q\" \\ end"
"%{ if B }yes%{ else }no%{ endif }"
"%{ if !B }yes%{ endif }x"
"%{ for x in L }${x},%{ endfor }"
"%{ for i, x in L }${i}=${x};%{ endfor }"
"%{ for k, v in M }${k}=${v} %{ endfor }"
"a %{~ if B ~} b %{~ endif ~} c"
"%{ if B }%{ for x in L }%{ if x == "a" }A%{ else }${x}%{ endif }%{ endfor }%{ endif }"
"%{ if B }x"
L[0]
L[3]
L["1"]
L.0
L[-1]
M.k
M["k"]
M["17"]
M[17]
M.nope
M["nope"]
O[1].t[0]
O[*].n
O.*.n
O[*].t[0]
S[*]
null[*]
M[*].k
[for x in L : upper(x)]
[for i, x in L : "${i}${x}"]
[for x in L : x if x != "a"]
{ for x in L : x => upper(x) }
{ for k, v in M : v => k }
{ for x in ["a", "b", "a"] : x => 1 }
{ for x in ["a", "b", "a"] : x => 1... }
[for k, v in M : k]
[for x in S : x]
{ (S) = 1 }
{ "${S}x" = 1, y : 2 }
concat([["x"], ["y"]]...)
[1, "a", true, null]
absolute(-3)
absolute("-3.5")
add(1, 2)
add("1", "2.5")
add(1)
and(true, false)
and("true", true)
base64encode("hello")
base64decode("aGVsbG8=")
base64decode("nonsense!")
basename("/a/b/c.txt")
basename("a/b/")
basename("")
basename("/")
dirname("/a/b/c.txt")
dirname("c.txt")
dirname("/c")
dirname("a//b")
ceil(1.2)
ceil(-1.2)
floor(1.8)
floor(-1.2)
chomp("a\n\n")
chomp("a")
chunklist(L, 2)
chunklist(L, 0)
cidrhost("10.12.112.0/20", 16)
cidrhost("10.12.112.0/20", -1)
cidrhost("fd00:fd12:3456:7890:00a2::/72", 34)
cidrnetmask("172.16.0.0/12")
cidrsubnet("172.16.0.0/12", 4, 2)
cidrsubnet("10.1.2.240/28", 1, 3)
cidrsubnet("fd00:fd12:3456:7890::/56", 16, 162)
cidrsubnets("10.1.0.0/16", 4, 4, 8, 4)
cidrsubnets("10.1.0.0/30", 1, 1, 1)
coalesce(null, "a", "b")
coalesce("", "b")
coalesce(null)
coalesce(1, "a")
coalescelist([], ["a"])
coalescelist([], [])
compact(["a", "", "b"])
compact(["a", null])
concat(["a"], ["b", "c"])
concat(["a"], [1])
concat("a", ["b"])
contains(L, "a")
contains(L, 1)
contains([1, 2], 2)
contains(M, "v")
csvdecode("a,b\n1,2\n3,4")
csvdecode("a,b\n1")
distinct(["a", "b", "a"])
distinct([1, 1, 2])
divide(10, 4)
divide(1, 0)
1 / 0
element(L, 1)
element(L, 4)
element(L, -1)
element([], 0)
equal("a", "a")
equal(1, "1")
flatten([["a"], [["b"], "c"]])
flatten(["a", []])
format("%s-%03d-%v", "a", 7, true)
format("%5s|%-5s|", "ab", "cd")
format("%q %t %%", "x", true)
format("%x %X %o %b %e", 255, 255, 8, 5, 1500)
format("%.2f", 3.14159)
format("%v %v", ["a", 1], { b = null })
format("%d", "12")
format("%d", 1.5)
format("%s")
format("%s", "a", "b")
format("%z", "a")
format("%[2]s %[1]s", "a", "b")
format("%v", null)
format("%+d", 3)
format("%g", 0.1)
formatlist("%s-%d", ["a", "b"], [1, 2])
formatlist("%s:%s", "x", ["1", "2"])
formatlist("%s", ["a"], ["b", "c"])
formatlist("%s%s", ["a", "b"], ["c"])
formatdate("YYYY-MM-DD'T'hh:mm:ssZ", "2026-11-23T09:05:07Z")
formatdate("DD MMM YYYY HH:mm AA", "2026-11-03T00:05:07Z")
formatdate("EEEE, D MMMM YY h:m:s aa", "2026-11-03T13:05:07+02:00")
formatdate("ZZZ ZZZZ ZZZZZ", "2026-11-03T13:05:07+02:00")
formatdate("'it''s' YYYY", "2026-11-03T13:05:07Z")
formatdate("YYY", "2026-11-03T13:05:07Z")
formatdate("YYYY", "2026-11-03")
greaterthan(2, 1)
greaterthan("10", 9)
greaterthanorequalto(1, 1)
hasindex(L, 1)
hasindex(L, 5)
hasindex(convert(M, map(string)), "k")
hasindex(convert(M, map(string)), "nope")
indent(2, "a\nb\nc")
index(L, 1)
index(convert(M, map(string)), "k")
index(L, 9)
indexof(L, "a")
indexof(L, "nope")
indexof(["1"], 1)
int(3.9)
int("-3.9")
join(",", L)
join("-", ["a"], ["b", "c"])
join(",", [1, 2])
join(",", [])
join(",", "a")
jsondecode("{\"a\": [1, 2.5, null, true], \"b\": {}}")
jsondecode("nope")
jsonencode({ b = 1, a = "<&>" })
keys(M)
keys(L)
length(L)
length(M)
length("abc")
length([])
lessthan(1, 2)
lessthanorequalto(2, 2)
log(16, 2)
log(100, 10)
lookup(M, "k", "d")
lookup(M, "nope", "d")
lookup(M, 17, "d")
lookup(M, "nope")
lookup({ a = 1 }, "b", 2)
lower("ABC")
upper("abc")
upper(1)
upper(null)
max(1, 3, 2)
max("10", 9)
max()
min(3, 1)
md5("a")
sha1("a")
sha256("a")
sha512("a")
merge({ a = 1 }, { b = 2, a = 3 })
merge({ a = 1 }, null)
merge()
modulo(10, 3)
modulo(-10, 3)
multiply(2, "3")
negate(3)
not(true)
notequal(1, 2)
or(false, true)
parseint("ff", 16)
parseint("777", 8)
parseint("zz", 10)
parseint("-10", 2)
pow(2, 10)
pow(2, -1)
pow(2, 0.5)
range(3)
range(1, 4)
range(0, 10, 3)
range(3, 0)
range(0, 1, 0.25)
range(0, 3, -1)
regex("[a-z]+", "53453453.345345aaabbbccc23454")
regex("(\\d+)-(\\d+)", "10-20")
regex("(?P<a>\\d+)-(?P<b>\\d+)", "10-20")
regex("x", "abc")
regexall("[a-z]", "1a2b")
regexall("(\\w)=(\\w)", "a=b c=d")
regexall("x", "abc")
regex_replace("a.b", "(a)\\.", "$1-")
regex_replace("hello", "l+", "<$0>")
regex_replace("a-b", "(?P<x>\\w)-(?P<y>\\w)", "${y}_${x}")
regex_replace("ab", "(a)(b)", "$2$1")
regex_replace("ab", "a", "$9x")
replace("a.b.c", ".", "-")
reverse("abc")
reverselist(L)
sanitize("feature/x.y_z-1")
semvercmp("1.2.3", "^1.2")
sethaselement(["a", "b"], "a")
sethaselement(["a", "b"], "c")
setintersection(["a", "b"], ["b", "c"])
setproduct(["a", "b"], ["1", "2"])
setproduct(["a"], [1, 2])
setsubtract(["a", "b"], ["b"])
setsymmetricdifference(["a", "b"], ["b", "c"])
setunion(["b", "a"], ["c"])
setunion([2, 10], [1])
signum(-3)
signum(0)
slice(L, 1, 3)
slice(L, 2, 9)
sort(["b", "a", "C"])
sort([10, 9])
split(",", "a,b,,c")
split("", "abc")
split(",", "")
strlen("h\u00e9llo")
substr("hello", 1, 3)
substr("hello", -3, 2)
substr("hello", 1, -1)
substr("hello", 9, 1)
subtract(5, 2)
timeadd("2026-11-22T00:00:00Z", "10m")
timeadd("2026-11-22T00:00:00+02:00", "-1h30m5s")
timeadd("2026-11-22T00:00:00Z", "1d")
title("hello wORLD it's a-b")
trim("xxaxx", "x")
trim("?!hello?!", "!?")
trimprefix("helloworld", "hello")
trimspace("  a b \n")
trimsuffix("helloworld", "world")
try(nope, "fallback")
try(M.nope, L[9], "last")
try(nope)
can(nope)
can(M.k)
urlencode("a b&c=d/\u00e9~")
uuidv5("dns", "www.terraform.io")
uuidv5("url", "https://x.example")
values(M)
zipmap(["a", "b"], [1, 2])
zipmap(["a"], [1, 2])
convert("1", number)
convert(1, string)
convert(["a", "a"], set(string))
convert({ a = 1 }, map(string))
convert("x", bool)
convert({ a = "1" }, object({ a = number }))
byteslen("abc")
nofun(1)
S.k
N.k
L.k
"${upper("a${lower("B")}")}"
{ a = { b = [1, { c = "d" }] } }.a.b[1].c
[[1, 2], [3]][0][1]
(1 + 2) * 3
"a" == "b" || "c" == "c"
!(true && false) || false
length([for o in O : o if length(o.t) > 1])
join(",", [for k, v in M : "${k}=${v}"])
split("/", "a/b/c")[1]
formattimestamp("X", "2026-11-23T09:05:07Z")
unixtimestampparse(1700000000).rfc3339
""".strip().splitlines()


def cases() -> Iterator[Case]:
    """All of them, in an order that stays."""
    for expression in EXPRESSIONS:
        text = f'{VARIABLES}\ntarget "default" {{\n  args = {{ x = jsonencode({expression}) }}\n}}\n'
        yield Case(f"expression {expression}", {"docker-bake.hcl": text})
    from oracles.bake import structures  # noqa: PLC0415 - which makes its cases of this module's class

    yield from structures.cases()
