import io
import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from governance.subject.images.near_duplicates import (
    DISTANCE,
    SIDE,
    groups,
    perceptual_hashes,
    thumbnail,
)


def scene(rng, side=64):
    """A smooth random picture: noise blurred until it has large shapes."""
    noise = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))
    blurred = np.asarray(noise.filter(ImageFilter.GaussianBlur(4)), dtype=float)
    stretched = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    return (stretched * 255).astype(np.uint8)


def jpeg(image, quality=50):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def naive_groups(thumbnails, hashes, similarity):
    """Compare every pair, then let the smaller number win until nothing changes."""
    z = []
    for item in thumbnails.astype(float):
        spread = item.std()
        z.append((item - item.mean()) / spread if spread else item * 0)
    if len(z) >= 30:
        mean = sum(z) / len(z)
        z = [item - mean for item in z]
    n = len(z)
    numbers = list(range(n))
    alike = []
    for i in range(n):
        for j in range(i):
            bits = (int(hashes[i]) ^ int(hashes[j])).bit_count()
            size = np.sqrt((z[i] ** 2).sum() * (z[j] ** 2).sum())
            shown = thumbnails[i].std() >= 1 and thumbnails[j].std() >= 1
            close = size > 0 and (z[i] * z[j]).sum() / size >= similarity
            if bits <= DISTANCE and shown and close:
                alike.append((i, j))
    changed = True
    while changed:
        changed = False
        for i, j in alike:
            low = min(numbers[i], numbers[j])
            changed |= numbers[i] != numbers[j]
            numbers[i] = numbers[j] = low
    order = list(dict.fromkeys(numbers))
    return [order.index(number) for number in numbers]


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 45),
    kinds=st.integers(1, 6),
    noise=st.floats(0, 40),
    similarity=st.floats(0.5, 0.999),
)
@settings(max_examples=40, deadline=None)
def test_groups_are_those_of_comparing_every_pair(seed, n, kinds, noise, similarity):
    rng = np.random.default_rng(seed)
    scenes = [thumbnail(scene(rng)) for _ in range(kinds)] + [np.zeros((SIDE, SIDE), np.uint8)]
    picked = np.stack([scenes[i] for i in rng.integers(0, len(scenes), n)]).astype(float)
    changed = np.clip(picked + rng.normal(0, noise, picked.shape) * (picked > 0), 0, 255)
    thumbnails = changed.astype(np.uint8)
    hashes = perceptual_hashes(thumbnails)

    found = groups(thumbnails, hashes, similarity)

    assert found.tolist() == naive_groups(thumbnails, hashes, similarity)


@given(seed=st.integers(0, 10_000), flips=st.lists(st.integers(1, 63), max_size=12, unique=True))
@settings(max_examples=40, deadline=None)
def test_a_pair_is_found_exactly_if_at_most_seven_bits_differ(seed, flips):
    rng = np.random.default_rng(seed)
    same = np.stack([thumbnail(scene(rng))] * 2)
    first = int(rng.integers(0, 2**63)) << 1
    second = first
    for bit in flips:
        second ^= 1 << bit

    found = groups(same, np.array([first, second], dtype=np.uint64), 0.98)

    assert (found[0] == found[1]) == (len(flips) <= DISTANCE)


def test_recompressed_rescaled_and_brightened_copies_are_found_and_other_scenes_are_not():
    rng = np.random.default_rng(0)
    scenes = [scene(rng) for _ in range(40)]
    first = scenes[0]
    half = np.asarray(Image.fromarray(first).resize((32, 32)))
    brighter = np.clip(first * 0.8 + 40, 0, 255).astype(np.uint8)

    thumbnails = np.stack([thumbnail(i) for i in [*scenes, jpeg(first), half, brighter]])
    found = groups(thumbnails, perceptual_hashes(thumbnails), 0.98)

    assert found[40:].tolist() == [0, 0, 0]
    assert len(set(found[:40].tolist())) == 40


def test_a_background_that_all_pictures_share_makes_no_near_duplicates():
    rng = np.random.default_rng(0)
    background = scene(rng).astype(float)
    pictures = []
    for _ in range(60):
        picture = background + rng.normal(0, 3, background.shape)
        row, column = rng.integers(0, 52, 2)
        picture[row : row + 12, column : column + 12] = rng.integers(0, 256)
        pictures.append(thumbnail(np.clip(picture, 0, 255).astype(np.uint8)))
    thumbnails = np.stack(pictures)

    found = groups(thumbnails, perceptual_hashes(thumbnails), 0.98)

    assert len(set(found.tolist())) >= 58


def test_memory_grows_with_pictures_and_not_with_pairs():
    rng = np.random.default_rng(0)
    pattern = thumbnail(scene(rng)).astype(int)
    n = 3000
    thumbnails = np.clip(pattern + rng.integers(-2, 3, (n, SIDE, SIDE)), 0, 255).astype(np.uint8)
    thumbnails[: n // 2] = rng.integers(0, 256, (n // 2, SIDE, SIDE), dtype=np.uint8)
    hashes = perceptual_hashes(thumbnails)

    tracemalloc.start()
    found = groups(thumbnails, hashes, 0.9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # 1,500 alike make 1.1 million pairs.
    assert (found[n // 2 :] == found[-1]).all()
    assert peak < 150e6
