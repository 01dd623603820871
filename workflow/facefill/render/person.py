"""Who is in the photo: everything about a person that stays the same from shot to shot."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# sRGB of skin from very light to very dark, seen in even light.
SKIN_TONES = np.array(
    [
        [240, 207, 188],
        [230, 188, 162],
        [214, 166, 134],
        [188, 136, 102],
        [146, 98, 69],
        [102, 66, 47],
        [72, 46, 36],
    ]
)
HAIR_COLOURS = {  # sRGB of lit strands
    "black": (34, 28, 26),
    "dark brown": (62, 43, 32),
    "brown": (98, 68, 46),
    "light brown": (136, 100, 66),
    "blond": (188, 152, 102),
    "red": (140, 70, 36),
    "grey": (150, 146, 142),
    "white": (190, 187, 182),
}
IRIS_COLOURS = {
    "dark": (52, 32, 22),
    "brown": (86, 54, 32),
    "hazel": (112, 88, 50),
    "green": (98, 112, 78),
    "blue": (84, 106, 124),
    "grey": (112, 124, 130),
}
# Standard deviations of the identity fields of head.py that are not all one.
SPREAD = {
    "skew": 0.6,
    "eye_skew": 0.6,
    "chin_cleft": 0.7,
    "nose_hump": 0.9,
    "upper_lip": 1.15,
    "lower_lip": 1.15,
    "ears": 0.8,
}
IDENTITY_FIELDS = [
    "head_width",
    "head_depth",
    "lower_length",
    "upper_length",
    "middle_length",
    "jaw_width",
    "jaw_angle",
    "cheek_fat",
    "chin_width",
    "chin_length",
    "chin_forward",
    "chin_cleft",
    "cheekbones",
    "forehead_slope",
    "forehead_width",
    "brow_ridge",
    "eye_spacing",
    "eye_width",
    "eye_opening",
    "eye_tilt",
    "eye_height",
    "eye_depth",
    "brow_height",
    "brow_tilt",
    "nose_length",
    "nose_width",
    "nose_bridge_width",
    "nose_forward",
    "nose_bridge",
    "nose_hump",
    "nose_tip_up",
    "nose_bulb",
    "mouth_width",
    "mouth_height",
    "upper_lip",
    "lower_lip",
    "lips_forward",
    "folds",
    "ears",
    "skew",
    "eye_skew",
]


def linear(srgb):
    """Linear light in 0..1 of sRGB in 0..255 (IEC 61966-2-1, approximated by a power of 2.2)."""
    return (np.asarray(srgb, np.float32) / 255) ** 2.2


@dataclass(frozen=True)
class Person:
    number: int
    texture_seed: int
    male: bool
    age: float  # years
    shape: dict  # weights of the identity fields
    skin: np.ndarray  # linear RGB
    redness: float
    freckles: float
    gloss: float
    lip_colour: np.ndarray
    makeup: float  # 0..1: lashes, lids, lips
    iris: np.ndarray
    iris_size: float
    lid_drop: float  # -1..1, narrow to wide eyes
    hair_style: str
    hair: np.ndarray
    hair_volume: float
    hair_side: int  # side of the parting
    hair_seed: int
    hairline: float  # mm, positive = receding
    brow_colour: np.ndarray
    brow_weight: float
    brow_arch: float
    beard: str
    beard_colour: np.ndarray
    glasses: str
    glasses_colour: np.ndarray
    glasses_size: float


def _saturated(colour):
    """Skin's albedo of its look: light that scatters within skin has washed the look out."""
    return (colour * np.array([1.02, 0.95, 0.90])).astype(np.float32)


def _choose(rng, table):
    names = list(table)
    weights = np.array([table[name] for name in names], float)
    return names[rng.choice(len(names), p=weights / weights.sum())]


def _shape(rng, male, age, darkness, eastern):
    shape = {name: 0.85 * SPREAD.get(name, 1.0) * rng.normal() for name in IDENTITY_FIELDS}
    sex = 1 if male else -1
    for name, shift in {
        "jaw_width": 0.7, "jaw_angle": 0.7, "chin_width": 0.6, "chin_length": 0.4,
        "brow_ridge": 1.1, "nose_width": 0.5, "nose_length": 0.4, "nose_forward": 0.3,
        "lower_length": 0.5, "eye_opening": -0.4, "upper_lip": -0.4, "lower_lip": -0.4,
        "cheekbones": -0.3, "head_width": 0.4, "forehead_slope": 0.5, "eye_depth": 0.4,
        "brow_height": -0.6,
    }.items():  # fmt: skip
        shape[name] += sex * shift
    old = (age - 40) / 25
    for name, shift in {
        "folds": 1.0, "nose_length": 0.5, "ears": 0.5, "upper_lip": -0.5, "eye_opening": -0.4,
        "cheek_fat": 0.2, "nose_bulb": 0.3,
    }.items():  # fmt: skip
        shape[name] += old * shift
    for name, shift in {
        "nose_width": 1.6, "upper_lip": 1.3, "lower_lip": 1.2, "nose_bridge": -0.9,
        "lips_forward": 1.0,
    }.items():  # fmt: skip
        shape[name] += darkness * shift
    for name, shift in {
        "nose_bridge": -1.2, "eye_opening": -0.9, "cheekbones": 0.9, "eye_depth": -1.0,
        "eye_tilt": 0.7, "brow_ridge": -0.7, "head_width": 0.6,
    }.items():  # fmt: skip
        shape[name] += eastern * shift
    return {name: float(np.clip(value, -2.1, 2.1)) for name, value in shape.items()}


@lru_cache(4)
def sample_person(seed, number):
    """The person with this number: always the same for the same seed."""
    rng = np.random.default_rng([seed, number])
    male = bool(rng.random() < 0.56)
    age = float(np.clip(18 + 62 * rng.beta(1.3, 2.1), 18, 80))
    tone = float(np.clip(rng.beta(1.0, 1.5) * 6.0, 0, 5.8))
    eastern = float(rng.random() < 0.22 and 0.8 < tone < 3.2)
    darkness = float(np.clip((tone - 3.2) / 2, 0, 1))
    skin = np.array([np.interp(tone, range(7), SKIN_TONES[:, c]) for c in range(3)])
    skin = skin * (1 + np.array([0.02, 0.0, -0.05]) * rng.normal()) * (1 + 0.03 * rng.normal())
    dark_hair = tone > 2.4 or eastern
    hair_name = _choose(
        rng,
        {"black": 6, "dark brown": 3}
        if dark_hair
        else {"black": 1.2, "dark brown": 3, "brown": 3, "light brown": 2, "blond": 2.4, "red": 1},
    )
    grey = np.clip((age - 52) / 18 + 0.2 * rng.normal(), 0, 1) * (1.0 if male else 0.35)
    own_hair = linear(HAIR_COLOURS[hair_name]) * (1 + 0.12 * rng.normal())
    hair = own_hair * (1 - grey) + grey * linear(
        HAIR_COLOURS[_choose(rng, {"grey": 2, "white": 1})]
    )
    eyes = (
        {"dark": 3, "brown": 3}
        if dark_hair
        else {"brown": 2, "hazel": 2, "green": 1, "blue": 3, "grey": 1}
    )
    bald = 0.28 * np.clip((age - 28) / 30, 0, 1)
    styles = (
        {"bald": bald, "fringe_of_hair": bald, "buzz": 0.2, "short": 0.45, "parted": 0.4,
         "quiff": 0.3, "curly": 0.16, "long": 0.05}
        if male
        else {"long": 0.4, "long_fringe": 0.25, "bob": 0.3, "tied": 0.3, "short": 0.1,
              "curly_long": 0.22}
    )  # fmt: skip
    style = _choose(rng, styles)
    beards = {
        "none": 1.5,
        "shadow": 0.7,
        "stubble": 0.8,
        "moustache": 0.3,
        "goatee": 0.35,
        "full": 0.55,
    }
    beard = _choose(rng, beards) if male else "none"
    makeup = 0.0 if male else float(np.clip(rng.normal(0.45, 0.35), 0, 1))
    lip = skin * np.array([0.86, 0.62, 0.62]) if tone < 3.5 else skin * np.array([0.9, 0.68, 0.7])
    painted = np.array([[165, 40, 55], [190, 90, 95], [140, 45, 60], [200, 110, 100]])[
        rng.integers(4)
    ]
    lip = linear(lip) * (1 - 0.7 * makeup) + 0.7 * makeup * linear(painted)
    glasses_odds = 0.14 + 0.22 * (age > 45)
    glasses = "none"
    if rng.random() < glasses_odds:
        glasses = _choose(rng, {"round": 1, "square": 1.4, "wire": 1, "half": 0.6})
    frames = [(18, 16, 16), (40, 24, 16), (90, 88, 86), (70, 20, 20), (24, 30, 60)]
    return Person(
        number=number,
        texture_seed=int(rng.integers(2**31)),
        male=male,
        age=age,
        shape=_shape(rng, male, age, darkness, eastern),
        skin=_saturated(linear(np.clip(skin, 20, 250))),
        redness=float(np.clip(rng.normal(0.5, 0.3), 0, 1.2)),
        freckles=float(max(0, rng.normal(-0.3, 0.6))) * (tone < 1.8),
        gloss=float(rng.uniform(0.6, 1.6)),
        lip_colour=lip.astype(np.float32),
        makeup=makeup,
        iris=linear(IRIS_COLOURS[_choose(rng, eyes)]) * float(rng.uniform(0.42, 0.78)),
        iris_size=float(rng.uniform(5.8, 6.5)),
        lid_drop=float(rng.normal(0, 0.4)) - 0.4 * eastern,
        hair_style=style,
        hair=hair.astype(np.float32),
        hair_volume=float(np.clip(rng.normal(1.0, 0.25), 0.5, 1.6)),
        hair_side=int(rng.choice([-1, 1])),
        hair_seed=int(rng.integers(2**31)),
        hairline=float(rng.normal(0, 5) + (7 * np.clip((age - 30) / 30, 0, 1) if male else -2)),
        brow_colour=(0.75 * own_hair * (1 - 0.6 * grey) + 0.6 * grey * hair).astype(np.float32),
        brow_weight=float(np.clip(rng.normal(1.35 if male else 1.1, 0.3), 0.6, 2.0)),
        brow_arch=float(rng.normal(0 if male else 0.7, 0.8)),
        beard=beard,
        beard_colour=(0.8 * own_hair * (1 - grey) + 0.7 * grey * hair).astype(np.float32),
        glasses=glasses,
        glasses_colour=linear(frames[rng.integers(len(frames))]),
        glasses_size=float(rng.uniform(0.88, 1.14)),
    )
