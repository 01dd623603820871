"""One photo of a person: everything that changes from shot to shot."""

from dataclasses import dataclass

import numpy as np

from facefill.render.person import sample_person

GAP_AT_REST = 5.0  # opening of the mean head's mouth, mm; "lips_close" takes it away


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    face_width: float  # pixels
    centre: tuple  # of the face, pixels
    yaw: float  # radians, as are pitch and roll
    pitch: float
    roll: float
    expression: dict  # weights of the expression fields of head.py
    lids: float  # opening of the eyes, 1 = relaxed
    gaze: tuple  # mm right, mm down
    key: np.ndarray  # direction to the main light
    key_colour: np.ndarray
    sky: np.ndarray  # ambient light from above
    ground: np.ndarray  # and from below
    rim: float
    exposure: float
    contrast: float
    grey: bool
    noise: float
    blur: float
    backdrop_seed: int
    clothes_seed: int


def _warmth(value):
    """Colour of a light: positive is warm, about -1..1."""
    return np.array([1 + 0.16 * value, 1 + 0.01 * value, 1 - 0.2 * value], np.float32)


def _metered(who, key, key_colour, sky, ground):
    """The exposure that a camera's meter would choose for the face, though not all the way.

    Without it, dark skin in soft or sidelong light leaves a photo that shows nothing.
    """
    facing = float(np.clip(key[2], 0, 1) / np.linalg.norm(key))
    light = facing * key_colour.mean() + 0.5 * (sky + ground).mean()
    meter = (0.95 / light) ** 0.6 * (0.30 / float(who.skin.mean())) ** 0.22
    return float(np.clip(meter, 0.8, 1.75))


def sample_scene(seed, person, shot):
    """The scene of one photo, independent of all others."""
    rng = np.random.default_rng([seed, person, shot, 1])
    width = int(rng.uniform(240, 640))
    height = int(np.clip(width * rng.uniform(1.05, 1.35), 300, 800))
    face_width = float(np.clip(width * rng.uniform(0.28, 0.46), 90, 260))
    face_width = min(face_width, width * 0.5)
    centre = (
        width * 0.5 + rng.uniform(-1, 1) * max(0.0, 0.5 * width - 0.85 * face_width),
        height * rng.uniform(0.42, 0.52),
    )
    yaw = np.radians(np.clip(rng.normal(0, 10), -25, 25))
    pitch = np.radians(np.clip(rng.normal(0, 4.5), -12, 12))
    roll = np.radians(np.clip(rng.normal(0, 4.5), -12, 12))

    mood = rng.random()
    expression = {"lips_close": GAP_AT_REST, "jaw_open": 0.0}
    if mood < 0.24:  # a smile with teeth
        expression |= {
            "smile": rng.uniform(0.4, 1.2),
            "lips_close": 0.0,
            "jaw_open": rng.uniform(0.0, 4.5),
        }
    elif mood < 0.40:  # a closed smile
        expression["smile"] = rng.uniform(0.2, 0.8)
    elif mood < 0.56:  # talking
        expression |= {
            "smile": rng.uniform(-0.5, 0.4),
            "lips_close": rng.uniform(0, 4),
            "jaw_open": rng.uniform(0, 9),
        }
    else:
        expression["smile"] = rng.uniform(-0.5, 0.2)
    if rng.random() < 0.12:
        expression["pucker"] = rng.uniform(0.2, 0.8)
    expression["brows_up"] = rng.normal(0, 0.45) + 0.9 * (rng.random() < 0.12)
    expression["frown"] = max(0.0, rng.normal(-0.35, 0.45))
    lids = np.clip(rng.normal(1.03, 0.10), 0.7, 1.22)
    if rng.random() < 0.04:
        lids = rng.uniform(0.3, 0.6)
    lids -= 0.10 * max(0.0, expression.get("smile", 0.0))

    azimuth, height_angle = rng.normal(0, 36), np.clip(rng.normal(32, 16), 0, 65)
    azimuth, height_angle = np.radians(np.clip(azimuth, -70, 70)), np.radians(height_angle)
    key = np.array(
        [
            np.sin(azimuth) * np.cos(height_angle),
            -np.sin(height_angle),
            np.cos(azimuth) * np.cos(height_angle),
        ]
    )
    softness = rng.beta(2.4, 2)  # share of ambient light
    key_colour = _warmth(rng.normal(0.15, 0.5)) * (1.55 - 1.0 * softness)
    ambient = 0.20 + 0.62 * softness
    sky = _warmth(rng.normal(-0.1, 0.4)) * ambient
    ground = _warmth(rng.normal(0.4, 0.4)) * ambient * rng.uniform(0.3, 0.75)
    low_contrast = rng.random() < 0.03
    return Scene(
        width=width,
        height=height,
        face_width=face_width,
        centre=centre,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        expression={name: float(value) for name, value in expression.items()},
        lids=float(lids),
        gaze=(float(rng.normal(-22 * yaw * 0.25, 0.9)), float(rng.normal(0, 0.5))),
        key=(key / np.linalg.norm(key)).astype(np.float32),
        key_colour=key_colour.astype(np.float32),
        sky=sky.astype(np.float32),
        ground=ground.astype(np.float32),
        rim=float(max(0, rng.normal(0, 0.35))),
        exposure=_metered(sample_person(seed, person), key, key_colour, sky, ground)
        * float(np.exp(rng.normal(0, 0.12))),
        contrast=0.75 if low_contrast else float(rng.uniform(0.97, 1.15)),
        grey=bool(rng.random() < 0.04),
        noise=float(rng.uniform(0.6, 3.4)),
        blur=float(rng.uniform(0, 0.9)),
        backdrop_seed=int(rng.integers(2**31)),
        clothes_seed=int(rng.integers(2**31)),
    )
