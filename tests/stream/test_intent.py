"""What many wordings ask for: the intent, and for words the phrase, of questions people type."""

from __future__ import annotations

import pytest

from edgevid.core.nouns import NS_PER_S
from edgevid.perception.objects import COCO_LABELS
from edgevid.stream.answer import intent, phrases, router, window
from edgevid.stream.answer.vocabulary import Vocabulary

CLASSES = ["golden retriever", "Egyptian cat", "seashore, coast", "bow tie, bow-tie, bowtie", "castle"]
SOUNDS = ["Speech", "Music", "Rain", "Bark", "Dog", "Siren", "Applause", "Crunch", "Laughter", "Piano"]
VOCABULARY = Vocabulary(objects=COCO_LABELS, classes=CLASSES, sounds=SOUNDS)

WORDINGS: dict[str, str] = {
    "presence": """is there a dog|are there any cars?|Do you see a bus|did a truck go past
        can you spot a cat
        any bicycles|cars?|bottles on the table, yes?|anyone there|anybody in the room?
        is somebody in there
        Would you say there's a person on screen?|does a horse show up|Is a boat visible at any point?
        is there a hot dog|is there a traffic light|can you see a wine glass|does someone walk by
        is there a man
        who is in the video|who is there|could you tell me if there is a clock
        A bicycle, is that in there?
        are there people or animals|is there a person with a dog|has anyone got an umbrella
        is there a stop sign""",
    "how_many": """how many dogs are there|number of people?|count the cars|How many bottles at the start?
        what is the most people visible at once|how many people can you see in total
        how many kinds of animals are there
        how many times does a car appear|how many birds do you see at 0:20
        maximum number of cars at the same time""",
    "when": """when does the dog appear|at what time is the car seen|When do people show up?
        which second shows the bus
        when is a person first visible|when was the last cat seen|at which point does the truck arrive
        when does the woman leave|when does the car disappear|from what time is the person visible
        time range with a single bottle|when are there two people|first time a dog is seen
        how long until the first car
        when does the bus drive off|at what second does the man enter
        Tell me the times at which three cups are seen""",
    "which": """what animals are there|which vehicles do you see|What is on the table?|list the animals
        name the animals in it|what furniture is there|what is he holding|what is in her hand
        what kind of vehicle is it
        what is standing on the table|which animal is this|what does the man ride
        show me which food there is""",
    "said": """what does he say|What is said?|transcribe it|which words come last?
        what did she say at the end|does anyone talk
        does he mention money|do they talk about trains|when does he say hello|is the word apple said
        anything said about dinner?|what is the last word|first words?|Give me his exact words, please.
        what are they talking about|is anyone speaking|did anybody speak|does she bring up her mother
        how many times does he say no|what's the first thing he says|when is London mentioned
        does the speaker use the word so
        what is the conversation about|how long does she speak|when does he stop talking
        is there a voice over""",
    "written": """what is written there|any text on screen|What does the sign say?
        is the word taxi visible somewhere
        which words are on the screen|read the caption|is there a title|what do the subtitles say
        any writing
        what is printed on the shirt|what is the logo|does the word STOP appear on screen
        what can be read on the board""",
    "heard": """what can you hear|is there music|any sounds|what noise is that|is it quiet
        does the video have sound
        do you hear rain|is there a siren|can you hear applause|is there any audio at all
        when does the music start
        how long does the music last|Is there applause after the sentence?|what do we hear first
        is it silent""",
    "cuts": """how many scenes are there|when is the first cut|does it cut|how many shots
        is there a scene change
        any edits|how many times does the camera angle change""",
    "length": """how long is the video|how long is it|length of the clip
        What's the duration of this recording?
        total length pls|how many seconds of audio is it|how many minutes is this video|video length""",
    "how_long": """how long is the dog visible|how long do you see a car
        for how many seconds is the person there
        how much time does the cat spend there""",
    "before": """what comes before the car|what is said before "hello"|what do you see before the dog""",
    "after": """what happens after the dog|what is said right after "cold hearted"
        what comes after the car
        what does he say after hello|what follows after the first cut
        what word comes straight after "bin"?""",
    "compare": """which comes first, the car or the dog|what appears earlier, a cat or a bus
        which is seen last, the dog or the cat""",
    "nobody": """is the room empty|when is nobody there|is no one in the picture|when is it deserted""",
    "where": "where is the dog|where are the cups|on which side is the car",
    "worn": """what is he wearing|what does she wear|how is he dressed|is she wearing a tie
        What does the man have on""",
    "summary": """what happens|describe the video|what's going on here|summarize it|sum it up for me
        tl;dr of the clip
        give me an overview|what do you see|what is the video about|what is this clip about
        can you describe it""",
    "cannot": """what colour is the car|is the man happy|how old is she|who is he|why does he run
        what brand is it
        is the car red|what's his name|where was this filmed|will it rain tomorrow|how fast is the car
        is she angry
        what's the weather like|which city is this|is the water cold|is he telling the truth
        what is he thinking
        who is speaking|what language do they speak|what does he say in sign language|is this funny
        is she smiling
        what gender is the speaker|which sign is she making|what color are her eyes|is the movie good""",
    "nothing": "|???|!|1 2 3",
}
CASES = [
    (question.strip(), wanted)
    for wanted, text in WORDINGS.items()
    for line in text.splitlines()
    for question in line.split("|")
]


@pytest.mark.parametrize(("question", "wanted"), CASES)
def test_intents(question: str, wanted: str) -> None:
    assert intent.parse(question, VOCABULARY).intent == wanted


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("does he mention money?", "money"),
        ("does anyone ever mention the ferry", "ferry"),
        ("do they talk about trains at all", "trains"),
        ("anything said about dinner?", "dinner"),
        ("is the word red said by her?", "red"),
        ("when is quilter mentioned?", "quilter"),
        ("does anybody mention a gospel in there", "gospel"),
        ("When does the phrase cold hearted come up?", "cold hearted"),
        ("time of the word disposed", "disposed"),
        ("Does he bring up his family?", "family"),
        ("when does he say 'good bye'?", "good bye"),
        ("does she use the word so", "so"),
        ("what does he say about help", "help"),
        ("What does he say?", None),
        ("what is he talking about", None),
        ("what is the very last word spoken", None),
        ("Which word does the sentence begin with?", None),
        ("what does she say at the end", None),
        ("what is said in the video", None),
    ],
)
def test_phrases(question: str, phrase: str | None) -> None:
    assert intent.parse(question, VOCABULARY).phrase == phrase


def test_alternatives_of_a_phrase() -> None:
    assert phrases.alternatives("religion like an apostle") == ["religion", "apostle"]


@pytest.mark.parametrize(
    ("question", "edge"),
    [("when does the man leave", "end"), ("when does the car arrive", "start"), ("when is a dog seen", None)],
)
def test_edges(question: str, edge: str | None) -> None:
    assert intent.parse(question, VOCABULARY).edge == edge


@pytest.mark.parametrize(
    ("question", "start_s", "end_s"),
    [
        ("what is there at 0:20?", 19.5, 20.5),
        ("at five seconds", 4.5, 5.5),
        ("around 0:05", 3.5, 6.5),
        ("in the first 10 seconds", 0, 10),
        ("in the last ten seconds", 50, 60),
        ("between 0:10 and 0:20", 10, 20),
        ("in the second half", 30, 60),
        ("after 30 s", 30, 60),
        ("at second 12", 11.5, 12.5),
        ("from 3 to 5 s", None, None),
        ("in 1999", None, None),
    ],
)
def test_windows(question: str, start_s: float | None, end_s: float | None) -> None:
    named = window.named_window(question, 60 * NS_PER_S)
    if start_s is None or end_s is None:
        assert named is None
    else:
        assert named is not None
        assert (named.start_s, named.end_s) == (start_s, end_s)


def test_parts() -> None:
    minute = 60 * NS_PER_S
    start = window.named_part("how many cups at the beginning?", minute)
    end = window.named_part("is anyone there at the very end", minute)
    assert start is not None and start.start_ns == 0
    assert end is not None and end.end_ns == minute
    assert window.named_part("how many cups", minute) is None


def test_words_that_only_look_like_objects_stay() -> None:
    for word in ("support", "range", "charge"):
        assert VOCABULARY.corrected(word) == word


def test_a_slip_of_the_keyboard_is_mended() -> None:
    assert [term.phrase for term in intent.parse("any bottels?", VOCABULARY).subject] == ["bottle"]


def test_every_exemplar_stands_for_a_question_the_rules_know() -> None:
    for plainly, _ in router.exemplars():
        assert intent.parse(plainly, VOCABULARY).intent != "unknown", plainly
