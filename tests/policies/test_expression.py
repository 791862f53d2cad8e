import pytest

from hookgate.policies.expression import Call, Conditional, Index, Listing, Literal, Mapping, Name, Select, parse, walk
from hookgate.policies.tokens import CelError

R_ATTR = Select(Name("R"), "attr")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("R.attr.x", Select(R_ATTR, "x")),
        ('R.attr["x"]', Index(R_ATTR, Literal("x"))),
        ("R.attr.?x", Select(R_ATTR, "x", optional=True)),
        ('R.attr[?"x"]', Index(R_ATTR, Literal("x"), optional=True)),
        ("R.attr.x.matches(r'\\s')", Call("matches", (Literal("\\s"),), Select(R_ATTR, "x"))),
        ("has(R.attr.x)", Call("has", (Select(R_ATTR, "x"),))),
        ("!a && b || c", Call("||", (Call("&&", (Call("!", (Name("a"),)), Name("b"))), Name("c")))),
        ("a + b * c == d", Call("==", (Call("+", (Name("a"), Call("*", (Name("b"), Name("c"))))), Name("d")))),
        ('"a" in ["a", \'b\']', Call("in", (Literal("a"), Listing((Literal("a"), Literal("b")))))),
        ("a ? b : c ? d : e", Conditional(Name("a"), Name("b"), Conditional(Name("c"), Name("d"), Name("e")))),
        ('{"a": 1, "b": {}}', Mapping(((Literal("a"), Literal(1.0)), (Literal("b"), Mapping(()))))),
        ("[1u, 0x1F, 1.5e3, -2,]", Listing((Literal(1), Literal(31), Literal(1500), Call("-", (Literal(2),))))),
        (
            "true && !false != null",
            Call("&&", (Literal(True), Call("!=", (Call("!", (Literal(False),)), Literal(None))))),
        ),
        ('"a\\n\\x41\\u00e9\\101\\""', Literal('a\nAéA"')),
        ('"""a"b\n"""', Literal('a"b\n')),
        ("r'a\\'", Literal("a\\")),
        ("a // the rest is a comment\n && b", Call("&&", (Name("a"), Name("b")))),
        ("R.attr.`a-b`", Select(R_ATTR, "a-b")),
    ],
)
def test_an_expression_becomes_its_tree(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize("text", ["", "a b", "(a", "a.", "[a", "'a", "'a\n'", "a ? b", "{a}", "a @ b", "a..b", ")"])
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(CelError, match="character"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["(" * 500 + "a" + ")" * 500, "a" + " + a" * 5000, "!" * 50_000 + "a", "a" + ".b" * 9000]
)
def test_an_expression_that_would_exhaust_the_stack_is_refused(text: str) -> None:
    with pytest.raises(CelError):
        parse(text)


def test_walking_gives_every_part() -> None:
    names = {node.name for node in walk(parse("a.b[c].d(e, f ? g : [h, {i: j}])")) if isinstance(node, Name)}
    assert names == set("acefghij")
