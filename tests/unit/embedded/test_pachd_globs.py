"""The glob dialect, by examples of what upstream's own library says about the same patterns."""

import pytest

from cdl.embedded.pachd import globs
from cdl.embedded.pachd.refusals import RefusedError

MATCHES = [
    ("*", "abc", "a/b"),
    ("**", "a/b/c", None),
    ("a/**/c", "a/b/x/c", "a/c"),
    ("a/**c", "a/b/c", "a/b"),
    ("ab***ef", "abcfef", "abcfefg"),
    ("a?c", "a1c", "ac"),
    ("?", "a", "/"),
    ("[a-c]x", "bx", "dx"),
    ("[!a-c]x", "dx", "bx"),
    ("[^/][!/]/..", "ab/..", "a/.."),
    ("[]x]", "]", "y"),
    ("[a-]", "-", "b"),
    ("[a*\\(]*z", "abcz", "abcx"),
    ("a[b*(foo|bar)]d", "abd", "abc"),
    ("[[:alpha:]]", "C", "5"),
    ("[[:^alpha:]]", ".", "x"),
    ("[^[:alpha:]_]", ".", "_"),
    ("[[:digit:][:upper:]]", "7", "a"),
    ("{abc,def}ghi", "defghi", "ghi"),
    ("{a,ab}{bc,f}", "abc", "ac"),
    ("{*,**}{a,b}", "x/b", "x/c"),
    ("{,*.}example", "www.example", "wwwexample"),
    ("*.(a|b)", "a.a.b", "a.bb"),
    ("(a)", "a", "(a)"),
    ("\\(a\\)", "(a)", "a"),
    ("a|b", "a|b", "a"),
    ("para?([345]|99)1", "para991", "para381"),
    ("*.c?(c)", "file.cc", "file.ccc"),
    ("*(0|1|3|5|7|9)", "137577991", "2468"),
    ("para+([0-9])", "para987", "para"),
    ("+([!/])/..?(/)", "ab/../", "/.."),
    ("@(ab|a*(b))*(c)d", "abbcd", "abb"),
    ("@(b+(c)d|e*(f)g?|?(h)i@(j|k))", "effgz", "effg"),
    ("*(*(of*(o)x)o)", "ofoooxoofxoofoooxoofxooofxofxo", "ofoooxoofxoofoooxoofxofo"),
    ("a!(x)", "ab", "ax"),
    ("a*!(x)", "ax", "ba"),
    ("!(x)", "foo", "foo/bar"),
    ("!(foo)", "foobar", "foo"),
    ("!(foo)*", "bar", "foobar"),
    ("!(!(foo))", "foo", "bar"),
    ("!(*.js|*.json)", "a.js.gz", "a.json"),
    ("*.!(js|css)", "bar.min.js", None),
    ("*.!(j)", "a-test.js", "a-test.j"),
    ("*-!(integration-)test.js", "a-integration-test.js", None),
    ("*?!(integration)?test.js", "a-integration-test.js", None),
    ("a/!(*(.js.js))", "a/foo.js.js", "a"),
    ("@(!(z*)|*x)", "zoox", "zoot"),
    ("!*.txt", "!a.txt", "a.csv"),
    ("a+", "a+", "aa"),
]
REFUSES = [
    ("*-!(integration)-test.js", "a-integration-test.js"),
    ("!(*.*).!(*.*)", "moo.cow"),
    ("*.!(js)*.js", "foo.js.js"),
    ("+()c", "abc"),
]


@pytest.mark.parametrize(("pattern", "fits", "fails"), MATCHES)
def test_a_pattern_fits_what_upstream_says(pattern, fits, fails):
    expression = globs.compiled(pattern)
    assert expression.fullmatch(fits)
    assert fails is None or not expression.fullmatch(fails)


@pytest.mark.parametrize(("pattern", "path"), REFUSES)
def test_a_pattern_refuses_what_upstream_says(pattern, path):
    assert not globs.compiled(pattern).fullmatch(path)


@pytest.mark.parametrize(
    ("pattern", "path", "template", "filled"),
    [
        ("/(*)/(*).csv", "/north/may.csv", "$1-$2", "north-may"),
        ("/(*)/(*).csv", "/north/may.csv", "${2}x", "mayx"),
        ("/(*)", "/a/", "$1", "a"),
        ("/(*)", "/a", "$1b", ""),  # $1b is a name of its own, which nothing captured
        ("/(*)", "/a", "$2$$", "$"),
        ("/a?(a|b)", "/a", "[$1]", "[]"),
        ("test/a*(a|b)/*(*).go", "test/aaaa/x.go", "$1 $2", "aaa x"),
        ("test*(/?(+(a|b)/*.go))", "test/a/x.go", "$1;$2;$3", "/a/x.go;a/x.go;a"),
        ("/{a,b}-(*)", "/b-c", "$1", "c"),
        ("/*", "/b", "", ""),
    ],
)
def test_captures_fill_a_template(pattern, path, template, filled):
    assert globs.expand(pattern, path, template) == filled


@pytest.mark.parametrize("pattern", ["/[a", "/[", "/{a,b", "/(a|b", "/!(a", "/[[:nothing:]]", "/[b-a]"])
def test_a_pattern_that_cannot_be_read_is_named(pattern):
    with pytest.raises(RefusedError) as caught:
        globs.compiled(pattern)
    assert (caught.value.code, pattern in caught.value.text, "\n" in caught.value.text) == (
        "INVALID_ARGUMENT",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("pattern", "start"), [("/a/b", "/a/b"), ("/a*", "/a"), ("/a(b)", "/a"), ("/@(a)", "/"), ("/x{a}", "/x")]
)
def test_every_match_starts_with_the_literal_part(pattern, start):
    assert globs.literal(pattern) == start
    assert globs.is_literal(pattern) is (pattern == start)
