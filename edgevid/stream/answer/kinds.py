"""Kinds of things the 1000 frame classes fall into, and what they are a sign of. Data, no logic.

Kinds follow WordNet's hypernyms. A class is named by the first of its synonyms, lower case.
"""

from __future__ import annotations

_CARS = (
    "ambulance|beach wagon|cab|convertible|jeep|limousine|minivan|model t|passenger car|police van|racer"
    "|sports car"
)
_TRUCKS = "fire engine|garbage truck|moving van|pickup|snowplow|tow truck|trailer truck"
_TRAINS = "bullet train|electric locomotive|freight car|passenger car|steam locomotive"
_CYCLES = "bicycle-built-for-two|moped|motor scooter|mountain bike|tricycle|unicycle"
_BOATS = "canoe|catamaran|fireboat|gondola|lifeboat|liner|schooner|speedboat|trimaran|yawl"
_SHIPS = "aircraft carrier|container ship|pirate|submarine"
_AIRCRAFT = "airliner|airship|balloon|space shuttle|warplane"
_OTHER_VEHICLES = (
    "amphibian|bobsled|dogsled|forklift|go-kart|golfcart|half track|horse cart|jinrikisha|minibus"
    "|mobile home|oxcart|recreational vehicle|school bus|snowmobile|streetcar|tank|tractor|trolleybus"
)
_VEHICLES = (_CARS, _TRUCKS, _TRAINS, _CYCLES, _BOATS, _SHIPS, _AIRCRAFT, _OTHER_VEHICLES)
_FARM_MACHINES = "harvester|plow|thresher|tractor"
_MACHINES = (
    "cash machine|chain saw|crane|espresso maker|forklift|lawn mower|photocopier|power drill|printer"
    "|sewing machine|slot|snowplow|vending machine|washer"
)
_HELMETS = "crash helmet|football helmet|pickelhaube"
_HATS = "bathing cap|bearskin|bonnet|cowboy hat|mortarboard|shower cap|sombrero"
_NECKWEAR = "bolo tie|bow tie|feather boa|neck brace|necklace|stole|windsor tie"
_GARMENTS = (
    "abaya|academic gown|apron|bikini|brassiere|bulletproof vest|cardigan|cloak|cuirass|fur coat|gown"
    "|hoopskirt|jean|jersey|kimono|lab coat|maillot|military uniform|miniskirt|overskirt|pajama|poncho"
    "|sarong|suit|sweatshirt|swimming trunks|trench coat|vestment"
)
_FOOTWEAR = "christmas stocking|clog|cowboy boot|loafer|running shoe|sandal|sock"
_FURNITURE = (
    "barber chair|bookcase|chiffonier|china cabinet|cradle|crib|desk|dining table|entertainment center|file"
    "|folding chair|four-poster|medicine chest|park bench|pool table|rocking chair|studio couch|table lamp"
    "|throne|toilet seat|wardrobe"
)
_FRUIT = "banana|custard apple|fig|granny smith|jackfruit|lemon|orange|pineapple|pomegranate|strawberry"
_VEGETABLES = (
    "acorn squash|artichoke|bell pepper|broccoli|butternut squash|cardoon|cauliflower|corn|cucumber"
    "|head cabbage|mushroom|spaghetti squash|zucchini"
)
_DISHES = (
    "bagel|burrito|carbonara|cheeseburger|chocolate sauce|consomme|dough|french loaf|guacamole|hot pot"
    "|hotdog|ice cream|ice lolly|mashed potato|meat loaf|pizza|plate|potpie|pretzel|trifle"
)
_DRINKS = "beer glass|cup|eggnog|espresso|red wine"
_BUILDINGS = (
    "apiary|bakery|barbershop|barn|boathouse|bookshop|butcher shop|castle|church|cinema|cliff dwelling"
    "|greenhouse|grocery store|home theater|library|lumbermill|mobile home|monastery|mosque|palace"
    "|planetarium|prison|restaurant|shoe shop|stupa|tile roof|tobacco shop|toyshop|water tower|yurt"
)
_STRUCTURES = (
    "beacon|bell cote|breakwater|dam|dock|dome|drilling platform|flagpole|fountain|megalith|obelisk"
    "|pedestal|pier|steel arch bridge|suspension bridge|totem pole|triumphal arch|viaduct"
)
_LANDFORMS = "alp|cliff|coral reef|geyser|lakeside|promontory|sandbar|seashore|valley|volcano"
_INSTRUMENTS = (
    "accordion|acoustic guitar|banjo|bassoon|cello|chime|cornet|drum|electric guitar|flute|french horn|gong"
    "|grand piano|harmonica|harp|maraca|marimba|oboe|ocarina|organ|panpipe|sax|steel drum|trombone|upright"
    "|violin"
)
_TOOLS = (
    "broom|can opener|chain saw|cleaver|corkscrew|hammer|hatchet|lawn mower|letter opener|paintbrush|plane"
    "|plunger|power drill|screw|screwdriver|shovel|spatula"
)
_WEAPONS = "assault rifle|bow|cannon|holster|missile|projectile|revolver|rifle"
_SCREENS = "monitor|screen|television"
_COMPUTERS = "computer keyboard|desktop computer|hand-held computer|laptop|modem|mouse|notebook|printer"
_PHONES = "cellular telephone|dial telephone|pay-phone"
_CAMERAS = "polaroid camera|projector|reflex camera"
_PLAYERS = "cassette player|cd player|ipod|loudspeaker|microphone|radio|remote control|tape player"
_CLOCKS = "analog clock|digital clock|digital watch|hourglass|stopwatch|sundial|wall clock"
_APPLIANCES = (
    "dishwasher|dutch oven|electric fan|espresso maker|hand blower|iron|microwave|refrigerator|space heater"
    "|stove|toaster|vacuum|waffle iron|washer"
)
_BALLS = (
    "baseball|basketball|croquet ball|golf ball|ping-pong ball|rugby ball|soccer ball|tennis ball|volleyball"
)
_BAGS = "backpack|mailbag|plastic bag|purse|sleeping bag"
_VESSELS = (
    "ashcan|barrel|beaker|beer bottle|bucket|carton|coffeepot|crate|cup|hamper|milk can|packet|pill bottle"
    "|pitcher|pop bottle|pot|rain barrel|shopping basket|teapot|vase|water bottle|water jug|whiskey jug"
    "|wine bottle"
)
_FLOWERS = "daisy|rapeseed|yellow lady's slipper"
_FUNGI = "agaric|bolete|coral fungus|earthstar|gyromitra|hen-of-the-woods|mushroom|stinkhorn"
_PAPERS = "book jacket|comic book|crossword puzzle|envelope|menu|packet|web site"

CLASS_KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple("|".join(lists).split("|"))
    for kinds, lists in {
        ("vehicle", "transport", "means of transport", "mode of transport", "conveyance"): _VEHICLES,
        ("car",): (_CARS,),
        ("truck",): (_TRUCKS,),
        ("train",): (_TRAINS,),
        ("bicycle",): (_CYCLES,),
        ("boat",): (_BOATS,),
        ("ship", "vessel", "watercraft"): (_BOATS, _SHIPS),
        ("airplane",): ("airliner|warplane",),
        ("aircraft",): (_AIRCRAFT,),
        ("farm machine", "farm vehicle", "farm equipment"): (_FARM_MACHINES,),
        ("machine", "machinery", "equipment"): (_FARM_MACHINES, _MACHINES, *_VEHICLES),
        ("helmet",): (_HELMETS,),
        ("hat", "cap"): (_HATS,),
        ("headgear", "headwear", "headdress"): (_HATS, _HELMETS, "ski mask|wig"),
        ("neckwear",): (_NECKWEAR,),
        ("footwear", "shoe"): (_FOOTWEAR,),
        ("eyewear",): ("gasmask|mask|oxygen mask|ski mask|sunglass|sunglasses",),
        ("garment", "clothing", "clothes", "outfit", "piece of clothing", "item of clothing"): (
            *(_GARMENTS, _NECKWEAR, _HATS, _FOOTWEAR),
        ),
        ("furniture", "piece of furniture"): (_FURNITURE,),
        ("seat",): ("barber chair|folding chair|park bench|rocking chair|studio couch|throne",),
        ("fruit",): (_FRUIT,),
        ("vegetable",): (_VEGETABLES,),
        ("food", "snack"): (_FRUIT, _VEGETABLES, _DISHES),
        ("dish", "meal"): (_DISHES,),
        ("drink", "beverage"): (_DRINKS,),
        ("building", "house"): (_BUILDINGS,),
        ("structure",): (_BUILDINGS, _STRUCTURES),
        ("bridge",): ("steel arch bridge|suspension bridge|viaduct",),
        ("landscape", "scenery", "natural feature", "landform", "terrain"): (_LANDFORMS,),
        ("mountain",): ("alp|cliff|valley|volcano",),
        ("beach", "coast", "shore"): ("sandbar|seashore",),
        ("instrument", "musical instrument"): (_INSTRUMENTS,),
        ("guitar",): ("acoustic guitar|electric guitar",),
        ("piano",): ("grand piano|upright",),
        ("tool", "utensil"): (_TOOLS,),
        ("weapon", "gun"): (_WEAPONS,),
        ("device", "gadget", "electronics", "electronic device"): (
            *(_SCREENS, _COMPUTERS, _PHONES, _CAMERAS, _PLAYERS, "digital clock|oscilloscope"),
        ),
        ("timepiece",): (_CLOCKS,),
        ("appliance",): (_APPLIANCES,),
        ("ball",): (_BALLS,),
        ("bag",): (_BAGS,),
        ("container",): (_VESSELS,),
        ("flower",): (_FLOWERS,),
        ("fungus",): (_FUNGI,),
        ("reading matter", "publication"): (_PAPERS,),
        ("street",): ("parking meter|street sign|traffic light",),
    }.items()
    for kind in kinds
}

OBJECT_KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(names.split("|"))
    for kinds, names in {
        (
            "mode of transport",
            "conveyance",
            "machine",
        ): "bicycle|car|motorcycle|airplane|bus|train|truck|boat",
        ("vegetable",): "broccoli|carrot",
        ("garment", "piece of clothing", "item of clothing", "neckwear"): "tie",
        ("vessel", "watercraft"): "boat",
        ("piece of furniture",): "chair|couch|bed|dining table|toilet|bench",
        ("seat",): "chair|couch|bench|toilet",
        ("tool", "utensil"): "scissors|knife|fork|spoon",
        ("timepiece",): "clock",
        ("reading matter",): "book",
        ("sports equipment",): (
            "frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard"
            "|tennis racket"
        ),
    }.items()
    for kind in kinds
}

# "On his head" means what is worn there.
WORN_ON: dict[str, str] = {
    "head": "headgear",
    "neck": "neckwear",
    "foot": "footwear",
    "eyes": "eyewear",
    "eye": "eyewear",
    "face": "eyewear",
}

# What can be held or carried, of the detector's objects and of the frame classes.
PORTABLE: tuple[str, ...] = tuple(
    (
        "apple|backpack|banana|baseball bat|book|bottle|bowl|cake|carrot|cell phone|clock|cup|donut|fork"
        "|frisbee|hair drier|handbag|hot dog|keyboard|kite|knife|laptop|mouse|orange|pizza|remote|sandwich"
        "|scissors|skateboard|spoon|sports ball|suitcase|surfboard|teddy bear|tennis racket|toothbrush"
        "|umbrella|vase|wine glass"
    ).split("|")
)
PORTABLE_CLASSES: frozenset[str] = frozenset(
    "|".join(
        (
            *(_TOOLS, _WEAPONS, _PHONES, _CAMERAS, _PLAYERS, _BALLS, _BAGS, _VESSELS, _PAPERS),
            *(_FRUIT, _DISHES, "ballpoint|balloon|candle|fountain pen|pencil box|puck|racket|torch|wallet"),
        )
    ).split("|")
)

# Detectors name the things that belong to a sport or a landscape: object labels, then frame classes.
_SPORTS: dict[str, tuple[str, str]] = {
    "ice hockey": ("", "puck"),
    "table tennis": ("", "ping-pong ball"),
    "tennis": ("tennis racket", "racket|tennis ball"),
    "baseball": ("baseball bat|baseball glove", "ballplayer|baseball"),
    "football (soccer)": ("", "soccer ball"),
    "american football": ("", "football helmet"),
    "basketball": ("", "basketball"),
    "volleyball": ("", "volleyball"),
    "rugby": ("", "rugby ball"),
    "golf": ("", "golf ball|golfcart"),
    "croquet": ("", "croquet ball"),
    "billiards": ("", "pool table"),
    "skiing": ("skis", "ski"),
    "snowboarding": ("snowboard", ""),
    "skateboarding": ("skateboard", ""),
    "surfing": ("surfboard", ""),
    "gymnastics": ("", "balance beam|horizontal bar|parallel bars"),
    "weightlifting": ("", "barbell|dumbbell"),
    "diving": ("", "scuba diver|snorkel"),
    "boxing": ("", "punching bag"),
    "bobsleigh": ("", "bobsled"),
    "motor racing": ("", "go-kart|racer"),
}
_LANDSCAPES: dict[str, tuple[str, str]] = {
    "snow": ("skis|snowboard", "bobsled|dogsled|ski|snowmobile|snowplow"),
    "sea": ("surfboard", "breakwater|coral reef|sandbar|seashore"),
    "farmland": ("", "harvester|hay|plow|rapeseed|thresher"),
}
# Kinds of things that are there where their signs are, by the words that name the kind.
SIGNS: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {
    ("sport", "kind of sport", "discipline"): _SPORTS,
    ("landscape", "scenery", "terrain"): _LANDSCAPES,
}
SIGN_WORDS: dict[str, str] = {
    "hockey": "ice hockey",
    "ping pong": "table tennis",
    "soccer": "football (soccer)",
    "ocean": "sea",
}
# What a label is a sign of, for each word for the kind.
SIGN_OF: dict[str, dict[str, str]] = {
    kind: {label: meaning for meaning, lists in of.items() for label in "|".join(lists).split("|") if label}
    for words, of in SIGNS.items()
    for kind in words
}
MEANINGS = frozenset(SIGN_WORDS) | {meaning for of in SIGNS.values() for meaning in of}
