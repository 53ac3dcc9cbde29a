"""Things to say: words of several languages and words that exist in none, strung together by chance.

Written for this project. Meaning doesn't matter to lips; every sound in every neighbourhood does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Language(NamedTuple):
    """voice: espeak-ng's. onsets, nuclei, codas: how its made-up words are spelt. words: real ones."""

    voice: str
    onsets: str
    nuclei: str
    codas: str
    words: str


_EN_ONSETS = "b p m f v w d t n l s z k g h j r ch sh th br pl fl st tr gl bl pr sp sm sw fr kl y b p m f"
_EN_NUCLEI = "a e i o u ee oo ai ow oy a e i o"
_EN_CODAS = "- - - n t m p b d k s l r f v ng sh mp nd st lk"
_EN_WORDS = """the a and to of we you they he she it is was were have had do not but for from with about people morning
evening water bread table window paper people happy maybe number eleven five seven twelve before behind
between move room boom book blue bin place white green lay set with please again now soon at by in my time
home phone voice mouth lips move very over under other brother mother father thing think thanks show wish
fish push watch church orange strange just always never something nothing whole world work word walk water
would could should quick quiet question answer simple possible problem program popular beautiful baby bubble
pepper paper map cap rob mob club stop hope help jump lamp"""

LANGUAGES: tuple[Language, ...] = (
    Language("en-us", _EN_ONSETS, _EN_NUCLEI, _EN_CODAS, _EN_WORDS),
    Language("en-gb-x-rp", _EN_ONSETS, _EN_NUCLEI, _EN_CODAS, _EN_WORDS),
    Language("en-gb-scotland", _EN_ONSETS, _EN_NUCLEI, _EN_CODAS, _EN_WORDS),
    Language(
        "de", "b p m f w d t n l s k g h j r sch pf z bl br fl fr kl kr pl pr st sp", "a e i o u ei au eu ö ü ä ie",
        "- - n t m p l s r f ch ng cht mpf nd st",
        """der die das und ist nicht wir ihr haben kommen gehen morgen abend wasser brot tisch fenster immer wieder
        schön bücher brauchen papier mutter vater bruder zwei drei fünf sieben zwölf warum wofür vielleicht bleiben
        über unter zusammen sprechen stimme mund lippen bewegen leben lieben machen""",
    ),
    Language(
        "fr", "b p m f v d t n l s k g j r ch br pl fl tr bl pr", "a e i o u ou on an in eau oi é è eu",
        "- - - - t m p l s r ne me",
        """le la les un une et est pas nous vous avec pour dans sur bon vin blanc beaucoup petit peu matin soir
        eau pain table fenêtre papier mère père frère deux trois cinq sept douze pourquoi peut-être toujours jamais
        voix bouche bouger parler vivre aimer faire monde femme homme""",
    ),
    Language(
        "es", "b p m f d t n l s c g j r ch br pl fl tr bl pr ll ñ", "a e i o u ue ie ai", "- - - - n s r l",
        """el la los una y es no nosotros con para en sobre bueno vino blanco mucho poco mañana tarde agua pan mesa
        ventana papel madre padre hermano dos tres cinco siete doce porque siempre nunca voz boca mover hablar vivir
        amar hacer mundo hombre mujer muchacho pueblo problema""",
    ),
    Language(
        "it", "b p m f v d t n l s c g r br pl fr tr bl pr sb sp gn", "a e i o u ia uo ie", "- - - - n l r",
        """il la un una e non noi voi con per in sopra buono vino bianco molto poco mattina sera acqua pane tavola
        finestra carta madre padre fratello due tre cinque sette dodici perché sempre mai voce bocca muovere parlare
        vivere amare fare mondo uomo donna problema bambino""",
    ),
    Language(
        "pt-br", "b p m f v d t n l s c g r br pl fr tr bl pr ch", "a e i o u ão ou ei", "- - - - m s r l",
        """o a um uma e não nós você com para em sobre bom vinho branco muito pouco manhã tarde água pão mesa janela
        papel mãe pai irmão dois três cinco sete doze porque sempre nunca voz boca mover falar viver amar fazer""",
    ),
    Language(
        "cmn-latn-pinyin", "b p m f d t n l g k h j q x zh ch sh r z c s w y b p m",
        "a1 a2 a4 o1 e4 e2 i1 i3 i4 u1 u4 ai4 ei3 ao3 ou1 an2 en2 ang4 eng1 ong2 ian4 in1 ing2 iao4 uo3", "-",
        """wo3 ni3 ta1 men5 de5 shi4 bu4 you3 mei2 ren2 ma1 ba4 peng2 you5 wen4 ti2 ming2 tian1 wan3 shang4 shui3
        mian4 bao1 zhuo1 zi5 chuang1 hu4 fang2 jian1 shuo1 hua4 sheng1 yin1 zui3 ba5 bei3 jing1 fei1 ji1 bi3 bu2
        guo4 pao3 bu4 piao4 liang5 mai3 mai4 wei4 shen2 me5 ke3 neng2 xian4 zai4""",
    ),
    Language(
        "ru", "б п м ф в д т н л с к г р бр пл х ш ж ч", "а о у е и ы я ю", "- - - н т м п л с р в",
        """и не мы вы что это был была вода хлеб стол окно утро вечер мама папа брат два три пять семь почему всегда
        никогда голос губы говорить жить любить мир человек бумага большой белый новый""",
    ),
    Language(
        "pl", "b p m f w d t n l s k g r br pl sz cz", "a e i o u y ą ę", "- - - n t m p l s r w",
        """i nie my wy to był była woda chleb stół okno rano wieczór mama papa brat dwa trzy pięć siedem dlaczego
        zawsze nigdy głos usta mówić żyć świat człowiek papier duży biały nowy""",
    ),
)  # fmt: skip


def sentence(language: Language, rng: np.random.Generator) -> str:
    """Three to eleven words with a comma now and then."""
    words: list[str] = []
    real = language.words.split()
    for _ in range(int(rng.integers(3, 12))):
        word = str(rng.choice(real)) if rng.random() < 0.55 else _made_up(language, rng)
        words.append(word + ("," if rng.random() < 0.1 else ""))
    return " ".join(words).rstrip(",") + str(rng.choice([".", ".", "?", "!"]))


def _made_up(language: Language, rng: np.random.Generator) -> str:
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        onset, nucleus, coda = (str(rng.choice(part.split())) for part in language[1:4])
        parts.append(onset + nucleus + coda.strip("-"))
    # Pinyin wants its syllables apart.
    return (" " if language.voice.startswith("cmn") else "").join(parts)
