"""Everyday words for detector labels: synonyms and hypernyms. Data, no logic.

Each entry maps a word a person types to labels of a channel. COCO groups follow COCO's supercategories
(Lin et al., 2014); ImageNet groups follow WordNet, whose order ImageNet-1000's indices keep.
"""

from __future__ import annotations

# Words that mean the same as a COCO label: the detector sees exactly this.
OBJECT_SYNONYMS: dict[str, str] = {
    "bike": "bicycle",
    "cycle": "bicycle",
    "motorbike": "motorcycle",
    "moped": "motorcycle",
    "plane": "airplane",
    "aeroplane": "airplane",
    "aircraft": "airplane",
    "jet": "airplane",
    "automobile": "car",
    "auto": "car",
    "lorry": "truck",
    "ship": "boat",
    "stoplight": "traffic light",
    "hydrant": "fire hydrant",
    "sofa": "couch",
    "settee": "couch",
    "plant": "potted plant",
    "houseplant": "potted plant",
    "table": "dining table",
    "television": "tv",
    "monitor": "tv",
    "screen": "tv",
    "computer": "laptop",
    "notebook": "laptop",
    "phone": "cell phone",
    "mobile": "cell phone",
    "smartphone": "cell phone",
    "cellphone": "cell phone",
    "telephone": "cell phone",
    "fridge": "refrigerator",
    "cup": "cup",
    "bowtie": "tie",
    "bow tie": "tie",
    "mug": "cup",
    "glass": "wine glass",
    "wineglass": "wine glass",
    "doughnut": "donut",
    "purse": "handbag",
    "bag": "handbag",
    "racket": "tennis racket",
    "racquet": "tennis racket",
    "ball": "sports ball",
    "football": "sports ball",
    "teddy": "teddy bear",
    "hairdryer": "hair drier",
    "rucksack": "backpack",
    "necktie": "tie",
    "calf": "cow",
    "kitten": "cat",
    "puppy": "dog",
    "pony": "horse",
    "cyclist": "bicycle",
    "biker": "bicycle",
}

# Words whose meaning is wider or narrower than the label; the answer says what was really detected.
PERSON_WORDS = frozenset(
    "person human man woman guy girl boy lady gentleman kid child baby adult someone somebody"
    " anyone anybody pedestrian player rider actor actress worker student teacher driver speaker"
    " presenter face figure crowd passer-by astronaut singer dancer individual customer everyone"
    " everybody teenager body hand arm leg finger toddler speaker guest visitor passenger man's chap bloke"
    " dude female male gal".split()
)

OBJECT_GROUPS: dict[str, tuple[str, ...]] = {
    "vehicle": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "traffic": ("bicycle", "car", "motorcycle", "bus", "truck"),
    "transport": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    "means of transport": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "two wheeler": ("bicycle", "motorcycle"),
    "pet": ("cat", "dog", "bird"),
    "creature": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    "wildlife": ("bird", "elephant", "bear", "zebra", "giraffe"),
    "furniture": ("chair", "couch", "bed", "dining table", "toilet"),
    "seat": ("chair", "couch", "bench"),
    "fruit": ("banana", "apple", "orange"),
    "food": (
        *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
        "cake",
    ),
    "drink": ("bottle", "cup", "wine glass"),
    "container": ("bottle", "cup", "bowl", "vase", "wine glass"),
    "kitchenware": ("bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl"),
    "cutlery": ("fork", "knife", "spoon"),
    "device": ("tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    "clothing": ("tie", "backpack", "handbag", "umbrella"),
    "outfit": ("tie",),
    "clothes": ("tie", "backpack", "handbag", "umbrella"),
    "electronics": ("tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    "gadget": ("laptop", "cell phone", "remote"),
    "luggage": ("backpack", "handbag", "suitcase"),
    "appliance": ("microwave", "oven", "toaster", "refrigerator"),
    "sign": ("stop sign",),
    "road sign": ("stop sign",),
}

# What a verb needs, the likeliest first: "what is he sitting on" says itself that there is something.
RELATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    r"(?:sit|sits|sitting|sat|seated|lie|lies|lying) (?:down )?(?:on|in)": (
        "to sit or lie on",
        ("chair", "couch", "bench", "bed", "toilet"),
    ),
    r"(?:ride|rides|riding|rode)": (
        "to ride",
        (
            *("bicycle", "motorcycle", "horse", "skateboard", "snowboard", "surfboard", "skis", "elephant"),
            *("bus", "train", "boat", "car", "truck"),
        ),
    ),
    r"(?:drive|drives|driving|drove)": ("to drive", ("car", "truck", "bus", "motorcycle", "train", "boat")),
    r"(?:eat|eats|eating|ate)": (
        "to eat",
        (
            *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
            "cake",
        ),
    ),
    r"(?:fly|flies|flying|flew)(?: by| past| around| through .*| over .*| in .*)?": (
        "that flies",
        ("airplane", "bird", "kite", "frisbee", "sports ball"),
    ),
    r"(?:thrown|throws|throwing|kicked|kicks|kicking|caught|catches|catching|hits|hitting)": (
        "to throw or kick",
        ("sports ball", "frisbee"),
    ),
    r"(?:drink|drinks|drinking)(?: from| out of)?": ("to drink from", ("bottle", "cup", "wine glass")),
    r"(?:play|plays|playing) with": (
        "to play with",
        (
            *("sports ball", "frisbee", "kite", "teddy bear", "dog", "cat", "cell phone", "remote"),
            *("tennis racket", "baseball bat", "skateboard"),
        ),
    ),
}

# ImageNet-1000 index ranges (inclusive) below a common word.
CLASS_RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "animal": ((0, 397),),
    "creature": ((0, 397),),
    "wildlife": ((0, 397),),
    "fish": ((0, 6), (389, 397)),
    "shark": ((2, 4),),
    "bird": ((7, 24), (80, 100), (127, 146)),
    "parrot": ((87, 90),),
    "chicken": ((7, 8),),
    "duck": ((97, 98),),
    "frog": ((30, 32),),
    "turtle": ((33, 37),),
    "lizard": ((38, 48),),
    "crocodile": ((49, 50),),
    "snake": ((52, 68),),
    "spider": ((72, 77),),
    "insect": ((300, 326),),
    "butterfly": ((321, 326),),
    "whale": ((147, 148),),
    "dog": ((151, 268),),
    "wolf": ((269, 272),),
    "fox": ((277, 280),),
    "cat": ((281, 287),),
    "bear": ((294, 297),),
    "rabbit": ((330, 332),),
    "bunny": ((330, 332),),
    "rodent": ((333, 338),),
    "squirrel": ((335, 335),),
    "horse": ((339, 339),),
    "pig": ((341, 343),),
    "cow": ((345, 347),),
    "sheep": ((348, 350),),
    "monkey": ((365, 384),),
    "ape": ((365, 369),),
    "elephant": ((385, 386),),
    "panda": ((387, 388),),
}

# The first and last AudioSet label (lower case) of a branch, which YAMNet lists in one piece.
SOUND_RANGES: dict[str, tuple[str, str]] = {
    "animal": ("animal", "whale vocalization"),
    "bird": ("bird", "bird flight, flapping wings"),
    "instrument": ("musical instrument", "scratching (performance technique)"),
    "vehicle": ("vehicle", "skateboard"),
}

# AudioSet labels (lower case) below a common word.
SOUND_GROUPS: dict[str, tuple[str, ...]] = {
    "music": ("music", "musical instrument", "song", "singing", "guitar", "piano", "drum", "orchestra")
    + ("background music", "theme music", "soundtrack music", "electronic music", "classical music"),
    "speech": ("speech", "child speech, kid speaking", "conversation", "narration, monologue", "whispering"),
    "voice": ("speech", "conversation", "narration, monologue", "singing", "shout", "whispering"),
    "talking": ("speech", "conversation", "narration, monologue"),
    "laughter": ("laughter", "giggle", "chuckle, chortle", "belly laugh", "baby laughter", "snicker"),
    "laugh": ("laughter", "giggle", "chuckle, chortle", "belly laugh", "baby laughter", "snicker"),
    "rain": ("rain", "raindrop", "rain on surface", "water", "thunderstorm"),
    "water": ("water", "rain", "stream", "waterfall", "ocean", "pour", "splash, splatter", "liquid", "drip"),
    "barking": ("dog", "bark", "bow-wow", "yip", "howl"),
    "crunching": ("crunch", "chewing, mastication", "crackle", "crushing", "biting"),
    "chewing": ("chewing, mastication", "biting", "crunch"),
    "bark": ("dog", "bark", "bow-wow", "yip", "howl"),
    "birdsong": ("bird", "bird vocalization, bird call, bird song", "chirp, tweet"),
    "engine": ("engine", "vehicle", "motor vehicle (road)", "car", "truck", "idling"),
    "traffic": ("vehicle", "motor vehicle (road)", "traffic noise, roadway noise", "car", "truck"),
    "applause": ("applause", "clapping", "cheering", "crowd"),
    "clapping": ("applause", "clapping"),
    "clap": ("applause", "clapping"),
    "applaud": ("applause", "clapping"),
    "cheer": ("cheering", "applause"),
    "background music": ("music", "background music"),
    "silence": ("silence",),
    "siren": ("siren", "civil defense siren", "police car (siren)", "ambulance (siren)"),
    "alarm": ("alarm", "smoke detector, smoke alarm", "alarm clock", "fire alarm", "siren"),
    "crunch": ("crunch", "chewing, mastication", "crackle", "crushing", "biting"),
    "footstep": ("walk, footsteps", "run"),
    "explosion": ("explosion", "boom", "gunshot, gunfire", "fireworks"),
    "gunshot": ("gunshot, gunfire", "machine gun", "artillery fire"),
    "crying": ("crying, sobbing", "baby cry, infant cry", "whimper"),
    "scream": ("screaming", "shout", "yell"),
    "wind": ("wind", "wind noise (microphone)", "rustling leaves"),
    "singing": ("singing", "choir", "song", "vocal music"),
    "instrument": ("musical instrument", "guitar", "piano", "drum", "violin, fiddle", "orchestra"),
    "thunder": ("thunder", "thunderstorm"),
    "telephone": ("telephone", "telephone bell ringing", "ringtone"),
}
