"""Regular expressions the intent rules are made of. Data, no logic."""

from __future__ import annotations

import re


def _any(*listed: str) -> re.Pattern[str]:
    """One pattern for several word lists; within a list ``_`` stands for a space, ``*`` for any ending."""
    alternatives = [word.replace("_", " ").replace("*", r"\w*") for part in listed for word in part.split()]
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")\b")


SAID = _any(
    "use_the_word uses_the_word the_word say says said saying speak* spoke* talk* tell_us tells_us",
    "tell_them mention* utter* quote* narrat* transcri* speech conversation dialog* voice_?over",
    "spoken pronounce* sentence* phrase* discuss* announc* voice* monologue brought_up bring_up brings_up",
    "exact_words first_words? last_words? opening_words? closing_words? final_words? few_words",
    "words_come words_end words_begin refer* lyrics",
    "his_words her_words their_words ask* named out_loud aloud call_out calls_out called_out read_out",
    "reads_out warn* thank thanks thanked greet* invite* promise* claims? declare* advise* request*",
    "he_name she_name they_name speaker_name apologi* suggest* instruct* recommend* urge* recite* command*",
)
SCREEN_SAYS = re.compile(
    r"\b(signs?|text|subtitles?|headlines?|captions?|screens?|titles?|cards?|labels?|banners?|posters?|boards?|stickers?"
    r"|letters)\b"
    r".*\b(say|says|read|reads)\b"
)
CLOTHES = _any("wear* dressed outfit clothes clothing has_on have_on")
GESTURES = _any(
    "which_sign_is what_sign_is sign_does signed sign_language signing gesture* his_hands her_hands "
    "their_hands"
)
HOLDS = _any("hold* held carry* carries carried in_his_hands in_her_hands in_their_hands")
WRITTEN = _any(
    "written write* text* caption* title* subtitle* read reads sign signs letters? inscription labell?e?d?",
    "printed logo* intertitle* credits? words?_on banner poster license_plate licence_plate number_plate",
)
IS_THERE = re.compile(
    r"^(?:(?:is|are|was|were) there|any|(?:can|do|did|could) (?:you|i|we) hear|(?:does|do|did) (?:the|a"
    r"|an|any))\b"
)
WRITTEN_WORD = re.compile(
    r"\b(?:word|words|phrase|(?<=\w )name|number(?! of)|letters?|text)\b.*"
    r"\b(?:visible|on (?:the )?screen|appears? on|written|shown|displayed|in the picture|read)\b"
)
WHO_IS_THERE = re.compile(
    r"\bwho (?:is|are|was|were|all is|else is|can be seen|do (?:you|we) see|appears?|comes?)\b"
    r"(?: (?!he\b|she\b|that\b|this\b|it\b|they\b|the\b|in\b|on\b)\w+)?"
    r"(?: (?:in|on|at|inside) (?:the|this|there|it|screen|view|frame)\b.*| there| visible| seen)?$"
)
COMPARE = re.compile(
    r"\b(?:which|what|who)\b.*\b(?:first|earlier|before|last|later)\b.*\bor\b"
    r"|\b(?:does|do|did|is|are|was) .*\b(?:before|after|earlier than|later than)\b"
)
NOBODY = re.compile(
    r"\b(?:nobody|no one|no person|no people|noone|empty|deserted|without (?:people|anyone|anybody))\b"
)
GOES = re.compile(
    r"\b(?:(?:until|till) when|leav\w*|left the|disappear\w*|vanish\w*|exit\w*"
    r"|go(?:es)? (?:away|out|off)|gone"
    r"|walks? (?:out|off|away)"
    r"|stops?|stopped|ends?|ended|finish\w*|over|taken away|removed|drives? (?:off|away)|out of (?:the )?"
    r"(?:frame|view|shot|picture))\b"
)
COMES = re.compile(
    r"\b(?:return\w*|reappear\w*|comes? back|again"
    r"|arriv\w*|enter\w*|com(?:e|es|ing) (?:in|into|on|up|along)|show(?:s|ing)? up|turn(?:s|ing)? up"
    r"|starts?|started|begins?|began|walks? (?:in|into)|drives? (?:in|up)|(?:from|since) when)\b"
)
WHERE = re.compile(
    r"\bwhere (?:(?:on|in) the (?:screen|picture|frame|image|video) )?(?:is|are|was|were|do|does|can)\b"
    r"|\bwhere in the (?:picture|frame|image)\b"
    r"|\b(?:which|what) (?:side|part of the (?:picture|frame|image|screen))\b"
    r"|\bleft or (?:the |on the )?right\b",
)
LIST_KIND = re.compile(
    r"^(?:(?:what|which)(?: (?:other|kinds? of|types? of|sorts? of|all))?|list|name|give)\b"
)
ROAD_SIGN = _any("stop_sign street_sign traffic_sign road_sign")
HEARD = _any(
    "hear* sounds? nois* audio music* listen* loud quiet silent silence song soundtrack audible sings? sang",
    "singing",
)
CUTS = _any("cuts? scene_change* scene_cut* scene_transition* scenes shots camera_change* camera_switch*")
CUTS_MORE = re.compile(
    r"\b(?:camera angle\w*|edits?|edited|transitions?|another (?:camera|shot|scene)|"
    r"(?:continuous|single|one|uncut) (?:shot|take)|"
    r"(?:picture|shot|scene|view|image|camera|angle|setting)s?(?: \w+)? (?:changes?|switch\w*|jumps?)"
    r"|(?:first|second|third|fourth|fifth|sixth|last) (?:scene|shot) (?:begin|start|end|stop|come)\w*)\b"
)
HOW_LONG = _any("how_long duration how_much_time how_many_seconds how_many_minutes")
HOW_MANY = _any(
    "how_many how_often fewest number_of count how_much maximum at_once at_the_same_time at_one_time"
)
SIDE = re.compile(r"\b(before|prior to|preceding|previous to)\b|\b(after|following|follows|next(?! to\b))\b")
SIDE_ASKS = _any("what which happens? comes? appears? see seen")
WHEN = _any(
    "when what_time which_second which_minute which_moment which_part what_second what_moment what_point",
    "at_what timestamps? where_in_the_video where_in_the_clip at_which what_points which_point which_points",
    "times?_at_which times?_range range_of_time time_of the_times what_times at_what_times how_far_into",
    "from_what_time until_what_time since_when time_span",
)
WHAT_WHEN = re.compile(r"^what (is|are|can|do)\b.*\bwhen\b")
EDGE_TIME = re.compile(
    r"\b(first|last|earliest|latest) (time|appear\w*|seen|moment)\b"
    r"|\b(first|last) (appear|see|show|visible)"
)
SUMMARY = _any(
    "summar* sum_it_up sum_up sum_this_up tl_dr describe description overview recap gist in_a_nutshell "
    "going_on what_happens what_happened what_is_happening",
    "what_goes_on what_do_you_see what_is_in_the what_is_in_this what_can_you_see what_can_i_see",
    "what_can_be_seen what_is_the_video what_is_this_video what_is_the_clip what_is_there_to_see",
    "what_is_visible tell_me_about_the tell_me_about_this",
)
ABOUT = re.compile(r"\babout\??$")
STARTS_YES_NO = re.compile(r"^(is|are|was|were|do|does|did|can|could|has|have|any|will)\b")
ASKS_YES_NO = re.compile(
    r"\b(is|are|was|were) there\b|\bany\b|\bwhether\b|\bif there\b"
    r"|\b(do|does|did|can|could) (you|i|we|it|the|a|any|some)\b"
)
WHICH = _any("what which list name show who tell identify find")
SHOT_LENGTH = re.compile(
    r"\bhow long\b.*\b(?:first|second|third|fourth|fifth|sixth|last|longest|shortest) (?:scene|shot|take)\b"
)
THROUGHOUT = re.compile(
    r"\b(?:throughout|(?:the )?(?:whole|entire) (?:time|video|clip|recording)|all the time|always"
    r"|at all times"
    r"|(?:from )?(?:start|beginning) to (?:the )?(?:end|finish)|all along|never (?:leaves|disappears))\b"
)
LENGTH = re.compile(
    r"^(?:the )?(?:total|overall|full|whole|entire) (?:length|duration|running time|run ?time|time)\b|"
    r"\b(how long|length|duration|run(ning)? ?time|how many (seconds|minutes))\b.*"
    r"\b(video|clip|recording|footage|film|movie|it|this|file|audio)\b"
    r"|\b(video|clip|recording|footage|file|movie|audio)('s)? (length|duration|run ?time)\b"
    r"|^how long( is it| is this)?$|^(total |overall )?(duration|length)$"
)
LAST = _any("last latest final finally ending end_of at_the_end ends?")
FIRST = _any("first begins? opens_with earliest initially beginning start starts opening")
WHO_SPEAKS = re.compile(
    r"\bwho (?:is |was |are )?(?:speak|talk|say)|^who (?:is|was) (?:the )?(?:speaker|voice|narrator)\b"
)
VOICES = re.compile(
    r"\bhow many (?:different )?(?:people|persons|voices|speakers|men|women)\b"
    r"|\b(?:a|the) (?:wo)?man(?:'s)? (?:speaking|talking|voice)\b|\b(?:fe)?male voice\b"
    r"|\b(?:any|some)(?:one|body) else (?:speak|talk|say)"
)
PREDICATE = re.compile(
    r"^(?:is|are|was|were) (?:the|this|that|these|those|his|her|their|its)(?: \w+)+?"
    r" (?:(?:very|really|still|all) )?(\w+)$"
)
ACTION = re.compile(
    r"(?!(?:build|paint|ceil|wedd|rail|morn|even|th|str|k|w|spr|light|cloth|mean)ing)\w{2,}ing"
)
IN_VIEW = re.compile(
    r"\b(?:visible|there|appear\w*|seen|shown?|in (?:the )?(?:view|picture|frame|shot|image))\b"
)
LONGEST = re.compile(r"\b(?:who|stay\w*)\b.*\blongest\b|\blongest\b.*\bstay\w*\b")
LONGER = re.compile(r"\b(?:longer|shorter|more|less) than (?:a|one|\d+(?:\.\d+)?) (?:min\w*|s|sec\w*)\b")

# What no channel can tell, and how the answer calls it.
ATTRIBUTES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"\bcolou?r\w*\b|\bblack and white\b|^(?:is|are|was|were) (?!there\b|it\b).*"
            r"\b(?:red|blue|green|yellow|black|white|brown|gr[ae]y|pink|purple)\b"
        ),
        "colours",
    ),
    (
        _any(
            "happy sad angry annoyed upset smil* mood emotion* feel* afraid scared bored tired nervous "
            "friendly"
        ),
        "feelings",
    ),
    (_any("hair* beard* moustache glasses shirt jacket hoodie dress shoes"), "looks or clothes"),
    (
        re.compile(
            r"\b(?:how old|age|gender|male or female|m[ae]n or (?:a )?wom[ae]n|boys? or girls?|old or young"
            r"|young or old)\b"
            r"|^(?:is|are|was|were) (?:he|she|they|(?:the|this|that) \w+) (?:\w+ )?(?:old|young|elderly)\b"
        ),
        "age or gender",
    ),
    (
        _any(
            "name_of his_name her_name their_names? whose who_is who_are who_was who_were who_made",
            "who_filmed who_shot who_directed who_won who_wrote identity called",
        ),
        "who someone is",
    ),
    (_any("why reason what_for"), "reasons"),
    (re.compile(r"\bmaterials?\b|\bwhat .*\bmade (?:of|from|out of)\b"), "materials"),
    (
        re.compile(
            r"\b(?:sitting|standing|lying|walking|running|asleep|awake) or (?:\w+ )?\w+(?:ing|ed|eep)\b"
        ),
        "actions",
    ),
    (_any("tomorrow weather forecast yesterday next_week stock price* cost*"), "anything outside the video"),
    (
        re.compile(
            r"\b(which|what) (book|novel|song|album|film|movie|series|programme|episode|channel|website)"
            r" (is|was|are|does)\b|\b(which|what) (city|country|town|street|state|planet|place|location"
            r"|brand|model|make|year|date|day)\b"
            r"|\bwhere (was|were|is|are) (this|it|the (video|clip|scene|footage))"
            r" (filmed|shot|recorded|taken|made)\b"
        ),
        "places, brands or dates",
    ),
    (
        re.compile(
            r"\bhow (fast|tall|heavy|big|far|deep|high|hot|cold|much (does|is|do))\b"
            r"|\bspeed\b|\bdistance\b|\bweigh\w*\b"
        ),
        "sizes, speeds or amounts",
    ),
    (
        re.compile(r"\b(day or night|night or day|indoors? or outdoors?|sunny|raining outside)\b"),
        "the light or weather",
    ),
    (_any("beautiful good bad nice favou?rite opinion funny tasty ugly boring interesting"), "opinions"),
    (_any("cold hot warm wet dry heavy expensive cheap soft smell* taste*"), "how things feel"),
    (
        _any("thinking thinks intend* plan plans planning married friends related lie truth honest"),
        "what people think",
    ),
)

MAY_BE_WRITTEN = frozenset({"who someone is", "places, brands or dates"})

# Words that carry no subject: what is left of a question without them and without known labels is "unknown".
FUNCTION_WORDS = frozenset(
    (
        "a an the this that these those i you we they he she it one me us my your their his her its of in"
        " on at to from by with for about into over under near next and or not no is am are was be been"
        " being do does did have has had can could would should will may might must shall there here what"
        " which who whom whose when where why how any some many much all every each other another more"
        " most than then so as if please tell show list give find let know just also ever never only"
        " really actually exactly now again still yet up down out off see seen hear heard appear appearing"
        " riding holding wearing leaning standing sitting walking coming going getting anyone means "
        "very like someone happen happening happened occur come go get look watch visible present shown "
        "anything something"
        " thing everything nothing kind type sort video clip footage film movie recording scene shot"
        " picture image frame screen time second minute moment point start begin beginning end part first"
        " last long short whole entire total number count amount different during while like use contain"
        " include feature camera view back left right side ok hey hi hello thank well two three four five"
        " once twice around through between used using yes think say detect detected notice recognise"
        " recognize spot found mention name identify describe background foreground place somewhere"
        " currently move moving pass passing enter leave stand sit hold early late earliest latest earlier"
        " later same certain large small big little single piece item were got both them him himself herself"
        " themselves itself alone object stuff third fourth fifth sixth someone around longest often most"
        " until till since behind above below beside besides against among without inside outside toward"
        " towards onto upon together apart make made carry carrying main subject"
        " depicted past goe drive drives"
    ).split()
)

THEY = re.compile(r"\b(?:he|she|they|him|her|them|himself|herself|themselves|both)\b")
LEAVES = re.compile(
    r"\b(?:leaves?|left|disappears?|vanish(?:es)?|exits?|go(?:es)? (?:away|out|off)"
    r"|walks? (?:out|off|away)|drives? (?:off|away))\b"
)
ENTERS = re.compile(r"\b(?:enters?|arrives?|comes? (?:in|into)|walks? (?:in|into)|drives? (?:in|up))\b")
SHOWS_WORDS = re.compile(
    r"\bwhat (?:does|do|did|is it that) (?:it|this|that) (?:say|read)s? (?:there )?(?:on|in|at)\b"
)
QUALITIES = frozenset(
    "red blue green yellow black white brown grey gray pink purple orange golden silver dark bright blond"
    " blonde young old elderly tall fat thin bearded bald happy sad angry wooden plastic new broken"
    " expensive".split()
)
ON_BODY = re.compile(
    r"^what is (?:on|around|over) (?:his|her|their|its|the \w+'s) (?:head|neck|feet|eyes|face)$"
)
WEARS = re.compile(r"\b(?:wear\w*|dressed)\b")
SAYS_BEFORE = re.compile(
    rf"^(?:is|are|was|were|do|does|did|has|have)\b.*{SAID.pattern}.*\b(?:before|after)\b"
)
SAYS = re.compile(r"\b(?:say|says|said|saying|mention\w*)\b")
NO_PHRASE = re.compile(
    r"^(very|begins?|ends?|starts?|being|anything|something|in|at|to|on|by|first|last|next|after|before"
    r"|when|that|here|there|during|again|mentioned|said|spoken|used|uttered|called|named"
    r"|exactly|then|them|him|her|they|he|she|it|this|the|and|does|do|did|you|there's|a lot|video|clip"
    r"|out|loud|with|from|while|of|as|for|is|are|or)\b( .*)?$"
)
QUOTED = re.compile(
    r"[\"\u201c\u201d\u00ab]([^\"\u201c\u201d\u00bb]{1,200})[\"\u201c\u201d\u00bb]"
    r"|(?<!\w)['\u2018]([^'\u2019]{1,200})['\u2019](?!\w)"
)
