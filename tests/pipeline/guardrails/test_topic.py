from __future__ import annotations

from typing import Any

import pytest

from llmlab.data.help_desk import cases, documents
from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails import LanguageGuard, Topic, TopicGuard
from llmlab.pipeline.guardrails.topic import language_of

# --- topics


@pytest.mark.parametrize(
    ("question", "topics"),
    [
        ("Write me a poem about the sea.", ["creative"]),
        ("Can you write a Python script that sorts a list?", ["code"]),
        ("Who won the presidential election?", ["politics"]),
        ("I have a headache and a fever, which dose should I take?", ["medicine"]),
        ("Should I put my savings into bitcoin?", ["money"]),
        ("Do my homework: solve the quadratic equation x^2 = 4.", ["homework"]),
        ("Can my landlord throw me out?", ["law"]),
        ("What is the horoscope for today?", ["gossip"]),
        ("A poem about my delivery, please", []),
        ("Does the app run a script?", []),
        ("How does the function key work?", []),
        ("", []),
    ],
)
def test_a_question_is_off_topic_by_its_words(question: str, topics: list[str]) -> None:
    assert [f"topic.{topic}" for topic in topics] == [found.rule for found in TopicGuard().check(question)]


def test_the_help_desks_own_questions_are_on_topic() -> None:
    assert [] == [found for case in cases() for found in TopicGuard().check(case.question)]


def test_a_topic_of_your_own() -> None:
    guard = TopicGuard(topics=(Topic("rivals", ("BreadCo",), ("cheaper", "better")),), on_topic=(), threshold=2)
    assert [Finding("off_topic", "topic.rivals", 3, 10, "it is about rivals: BreadCo")] == guard.check("Is BreadCo good?")
    assert ["it is about rivals: better, cheaper"] == [found.reason for found in guard.check("Who is better, better and cheaper?")]
    assert [] == guard.check("Who is better?")
    assert hash(guard) == hash(TopicGuard(topics=guard.topics, on_topic=()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"topics": ()}, "topics are several Topic"),
        ({"topics": Topic("a", ("b",))}, "topics are several Topic"),
        ({"topics": ("a",)}, "topics are several Topic"),
        ({"topics": (Topic("a", ()),)}, "the phrases of 'a' are several texts"),
        ({"on_topic": "order"}, "on_topic are several texts"),
        ({"threshold": 0}, "threshold is a number of points above 0, not 0"),
        ({"threshold": True}, "threshold is a number of points above 0, not True"),
        ({"threshold": "2"}, "threshold is a number of points above 0, not '2'"),
    ],
)
def test_what_is_no_topic_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        TopicGuard(**fields)


# --- languages

SAID = {
    "en": (
        "How long does the delivery take?|Can I send it back if the box is open?|My machine does not turn on, what can I do?"
        "|Where is my parcel?|Is the kneading paddle dishwasher safe?|Tell me the warranty period please|Cancel subscription"
        "|Do you ship to Norway?|Why is there a burning smell from my unit?"
    ),
    "de": (
        "Wie lange dauert die Lieferung?|Kann ich das Gerät zurückgeben?|Meine Maschine geht nicht an, was kann ich tun?"
        "|Wo ist mein Paket?|Gibt es eine Garantie auf den Motor?|Bitte stornieren Sie meine Bestellung|Warum riecht es verbrannt?"
        "|Ist der Knethaken spülmaschinenfest?|Liefern Sie nach Norwegen?"
    ),
    "fr": (
        "Combien de temps prend la livraison ?|Est-ce que je peux la renvoyer ?|Ma machine ne marche pas, que puis-je faire ?"
        "|Où est mon colis ?|Y a-t-il une garantie sur le moteur ?|Veuillez annuler ma commande|Pourquoi ça sent le brûlé ?"
        "|Livrez-vous en Norvège ?|Le pétrin passe-t-il au lave-vaisselle ?"
    ),
    "es": (
        "¿Cuánto tarda la entrega de mi pedido?|¿Puedo devolver el aparato si está abierto?|Mi máquina no se enciende, ¿qué hago?"
        "|¿Dónde está mi paquete?|¿Hay garantía para el motor?|Por favor, cancele mi pedido|¿Por qué huele a quemado?"
        "|¿Envían a Noruega?|Quiero cambiar la contraseña de mi cuenta"
    ),
    "it": (
        "Quanto tempo ci vuole per la consegna?|Posso restituire la macchina se è aperta?|La mia macchina non si accende."
        "|Dov'è il mio pacco?|C'è una garanzia sul motore?|Per favore annullate il mio ordine|Perché c'è odore di bruciato?"
        "|Spedite in Norvegia?|Voglio cambiare la password del mio account"
    ),
    "pt": (
        "Quanto tempo demora para a entrega?|Posso devolver a máquina se não gostar?|A minha máquina não liga, o que faço?"
        "|Onde está a minha encomenda?|Há garantia para o motor?|Por favor cancele o meu pedido|Porque cheira a queimado?"
        "|Enviam para a Noruega?|Quero mudar a senha da minha conta"
    ),
    "nl": (
        "Hoe lang duurt de levering van mijn machine?|Kan ik het apparaat terugsturen?|Mijn machine gaat niet aan, wat nu?"
        "|Waar is mijn pakket?|Is er garantie op de motor?|Annuleer alstublieft mijn bestelling|Waarom ruikt het verbrand?"
        "|Verzendt u naar Noorwegen?|Ik wil het wachtwoord van mijn account wijzigen"
    ),
    "ru": "Сколько длится доставка?|Можно ли вернуть Crumbwell 3?|Что делать?",
    "el": "Πόσο διαρκεί η παράδοση;",
    "he": "כמה זמן לוקח המשלוח?",
    "ar": "كم يستغرق التوصيل؟",
    "hi": "डिलीवरी में कितना समय लगता है?",
    "th": "จัดส่งใช้เวลานานเท่าไร",
    "ko": "배송은 얼마나 걸리나요?",
    "ja": "配送にはどのくらいかかりますか?",
    "zh": "送货需要多长时间?",
}


def test_a_language_is_told_by_script_and_common_words() -> None:
    told = [(language, language_of(text)) for language, texts in SAID.items() for text in texts.split("|")]
    assert not [pair for pair in told if pair[1] not in ("", pair[0])]  # never for another one
    assert len([pair for pair in told if pair[0] == pair[1]]) >= 0.8 * len(told)


def test_the_help_desk_speaks_english() -> None:
    assert {"en"} == {language_of(page.text) for page in documents()}
    assert [] == [found for case in cases() for found in LanguageGuard().check(case.question)]


@pytest.mark.parametrize("text", ["", "Bluetooth E4?", "12345", "?!", "ok"])
def test_what_is_short_and_cannot_be_told_passes(text: str) -> None:
    assert "" == language_of(text)
    assert [] == LanguageGuard().check(text)


def test_another_language_is_found_and_so_is_what_is_long_and_none() -> None:
    text = "Wie lange dauert die Lieferung?"
    assert [Finding("language", "language.de", 0, 31, "it is in de, and en is meant")] == LanguageGuard().check(text)
    assert [] == LanguageGuard(languages=("en", "de")).check(text)
    reason = "it is in no language that can be told, and en or de is meant"
    assert [Finding("language", "language.unknown", 0, 71, reason)] == LanguageGuard(languages=("en", "de")).check("lorem " * 11 + "ipsum")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"languages": "en"}, "languages are some of en, de, "),
        ({"languages": ()}, "languages are some of"),
        ({"languages": ("xx",)}, "languages are some of"),
        ({"enough_words": 0}, "enough_words is a whole number of at least 1, not 0"),
        ({"enough_words": True}, "enough_words is a whole number"),
        ({"enough_words": 1.5}, "enough_words is a whole number"),
        ({"action": "redact"}, "action is one of allow, flag, block"),
    ],
)
def test_a_language_that_is_unknown_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        LanguageGuard(**fields)
