"""What a refusal means: too long a request, a parameter the server does not take, or a mistake.

There is no standard for either. OpenAI's form of an error has fields for it (`code`, `type`,
`param`), which are read first; most servers only write a sentence, each its own. Sentences must say
that something is exceeded: that they speak of a context or of a limit is not enough, since what is
said of a mistake in the request does so too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What may be called otherwise, or be left out: parameter -> the name that newer models know it by.
OPTIONAL = {
    "max_tokens": "max_completion_tokens",
    "temperature": None,
    "seed": None,
    "response_format": None,
}

_TOO_LONG_CODES = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Azure, Groq
        "context_window_exceeded",
        "string_above_max_length",
        "exceed_context_size_error",  # llama.cpp
        "model_max_prompt_tokens_exceeded",
        "tokens_limit_reached",  # GitHub Models
        "prompt_too_long",
        "request_too_large",  # Anthropic
        "contextwindowexceedederror",  # LiteLLM
    }
)
# Alternatives in the order of: OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama, TGI and TEI,
# TensorRT-LLM, LMDeploy, Gemini, Anthropic, Mistral, Cohere, Bedrock, Moonshot, DashScope, Zhipu.
_TOO_LONG = re.compile(
    r"""
    \b(context_length_exceeded|exceed_context_size_error|string_above_max_length)\b
  | reduce\ the\ length\ of\ (the|your)\ (messages|prompt|input)
  | maximum\ (context|model|prompt|sequence|input)\ length\ (is|of)\ [\d,]+
  | \b(longer|larger|greater|more)\ than\ the\ (model('?s)?\ )?(maximum\ )?
    (model|context|prompt|input|sequence)\ (length|size|window)
  | exceed(s|ed|ing)?\ (the\ )?(model'?s\ |its\ |our\ )?(maximum\ |max\ |available\ |allowed\ )*
    (context|prompt|input|sequence|model)[\ _](length|size|window|token\ limit|limit|len)
  | context\ (window|length|size|limit)\ (is\ |was\ |has\ been\ )?(exceed|too\ small|overflow)
  | (context\ overflows|context\ the\ overflows|not\ enough\ context)
  | loaded\ with\ context\ length\ of\ only
  | \bexceeds?\ (the\ )?(maximum|max)\ (allowed\ length|number\ of\ tokens|length|input)
  | `?inputs`?\ tokens\ \+\ `?max_new_tokens`?\ must\ be\ <=
  | `?inputs`?\ must\ have\ less\ than\ [\d,]+\ tokens
  | max_tokens\ \(-\d+\)\ should\ be\ greater
  | sum\ of\ prompt\ length\ .*\ should\ not\ exceed
  | (\b(exceed\w*|larger\ than|over)|>)\ (the\ )?
    (session_len|max_(seq|input|model)_len|max_num_tokens|n_ctx)
  | input\ token\ count\ .*(exceeds|only\ supports)
  | \b(prompt|input|request|conversation)\ (is|was)\ too\ (long|large)\b
  | too\ large\ for\ model\ with
  | (tokens\ in\ the\ prompt|total\ tokens)\ .*(cannot|can't|must\ not)?\ exceed
  | exceeded\ model\ token\ limit
  | range\ of\ input\ length\ should\ be
    """,
    re.I | re.X | re.S,
)
_ROOM = re.compile(r"max_(?:completion_)?tokens must be at least 1, got (-?\d+)", re.I)
_CONTEXT = re.compile(r"maximum (?:context|model) length (?:is|of) ([\d,]+)", re.I)
_ABOUT_REPLY = re.compile(r"\W*max_\w*tokens\b", re.I)  # the subject of the sentence
# A limit of the account on tokens a minute, below what one request has: waiting never helps.
_BUDGET = re.compile(r"limit:? ([\d,]+), requested:? ([\d,]+)", re.I)
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|(does not|doesn't) support|unknown|unrecogni[sz]ed|unexpected"
    r"|extra (inputs|fields)|not permitted|not allowed|deprecated|only the default"
    r"|cannot find field|max_completion_tokens. instead",
    re.I,
)
# What is said of a schema, in many ways: that such a form is not known or not available, or that a
# keyword of the schema is not. Nothing else of a request is asked for by these names.
_SCHEMA = re.compile(r"response[ _]format|json[ _]?schema|guided[ _](json|decoding)", re.I)
_NOT_TAKEN_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}
)


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error.

    Attributes:
        status: of HTTP.
        message: what it says; all there is where it has no known form.
        codes: what names its kind, in lower case.
        parameter: which part of the request it is about; "" where it does not say.
    """

    status: int
    message: str
    codes: frozenset[str]
    parameter: str

    @classmethod
    def of(cls, status: int, text: str) -> "Refusal":
        """Read the body of an answer."""
        try:
            errors = list(_errors(json.loads(text)))
        except (ValueError, RecursionError):
            errors = []
        if not errors:
            return cls(status, text, frozenset(), "")
        names = ("code", "type", "error_type", "status")
        codes = {e[n].lower() for e in errors for n in names if isinstance(e.get(n), str)}
        parameters = [p for e in errors if (p := _parameter(e))]
        # Only what it says itself: some also send back what they were asked, with the whole prompt.
        said = " ".join(
            m for e in errors for n in ("message", "msg") if isinstance(m := e.get(n), str)
        )
        return cls(status, said or text, frozenset(codes), parameters[0] if parameters else "")

    def is_too_long(self, asked: Mapping[str, Any]) -> bool:
        """Whether the request does not fit into the server's context, and another one may.

        Args:
            asked: the request's JSON.
        """
        if self.codes & _TOO_LONG_CODES:
            return True
        said = self.message
        wanted = asked.get("max_tokens")
        if found := _ROOM.search(said):
            # What is left of the context for the reply, unless it is what we asked for.
            return int(found[1]) != wanted
        if found := _BUDGET.search(said):
            limit, requested = (int(n.replace(",", "")) for n in found.groups())
            return requested > limit
        if self.status == 413:
            return True
        if self.status == 429 or not _TOO_LONG.search(said):
            return False
        if not _ABOUT_REPLY.match(said):
            return True
        # A reply as long as the context never fits, whatever stands before it: a mistake.
        context = _CONTEXT.search(said)
        return context is not None and int(context[1].replace(",", "")) > (wanted or 0)

    def not_taken(self, sent: Mapping[str, Any]) -> str:
        """Which of the `OPTIONAL` parameters the server does not take; "" for none.

        Args:
            sent: the request's JSON.
        """
        if self.status not in (400, 422):
            return ""
        if "response_format" in sent and self._is_about_schema():
            return "response_format"
        unsupported = bool(self.codes & _NOT_TAKEN_CODES or _NOT_TAKEN.search(self.message))
        for name in OPTIONAL:
            # By the field where there is one: the sentence may name another parameter as a remedy.
            named = (
                self.parameter == name
                if self.parameter
                else re.search(rf"\b{name}\b", self.message) is not None
            )
            if unsupported and named and name in sent:
                return name
        return ""

    def _is_about_schema(self) -> bool:
        if self.parameter in OPTIONAL and self.parameter != "response_format":
            return False
        # A path into the schema, such as response_format.json_schema, names no other parameter.
        return _SCHEMA.search(f"{self.parameter} {self.message}") is not None


def _errors(body: Any) -> Iterator[Mapping[str, Any]]:
    """The parts of an answer that may describe an error."""
    if isinstance(body, list):  # Gemini's, and FastAPI's `detail`
        for item in body:
            yield from _errors(item)
    elif isinstance(body, dict):
        yield body
        # `error` (OpenAI), `detail` (FastAPI), `innererror` (Azure).
        for name in ("error", "detail", "innererror"):
            inner = body.get(name)
            yield from _errors({"message": inner} if isinstance(inner, str) else inner)


def _parameter(error: Mapping[str, Any]) -> str:
    # `loc` is FastAPI's: a path such as ["body", "seed"].
    place = error.get("loc")
    named = place[-1] if isinstance(place, list) and place else error.get("param")
    return named if isinstance(named, str) else ""
