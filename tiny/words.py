"""The words that prompts are made of: synonyms for what the model draws, and words it may ignore."""

from limner.tiny.scenes import Size, Texture

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "circle", "disc", "disk", "dot", "ball"),
    "square": ("square", "square", "square", "box", "block"),
    "triangle": ("triangle", "triangle", "triangle", "pyramid"),
    "star": ("star",),
    "heart": ("heart",),
    "diamond": ("diamond", "diamond", "diamond", "rhombus", "lozenge"),
    "cross": ("cross", "cross", "cross", "plus"),
    "ring": ("ring", "ring", "ring", "donut", "hoop"),
    "moon": ("moon",),
}
SIZE_WORDS: dict[Size, tuple[str, ...]] = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("medium", "medium", "medium-sized"),
    "large": ("large", "large", "big", "huge"),
}
TEXTURE_WORDS: dict[Texture, tuple[str, ...]] = {
    "solid": ("solid", "solid", "plain", "filled"),
    "striped": ("striped", "striped", "stripy"),
    "outlined": ("outlined", "outlined", "bordered"),
}
PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "center": ("center", "center", "middle", "centre"),
    "left": ("left", "left side", "left"),
    "right": ("right", "right side", "right"),
    "top": ("top", "top"),
    "bottom": ("bottom", "bottom"),
    "top left": ("top left", "top left", "upper left", "top-left", "top left corner"),
    "top right": ("top right", "top right", "upper right", "top-right", "top right corner"),
    "bottom left": ("bottom left", "bottom left", "lower left", "bottom-left", "bottom left corner"),
    "bottom right": ("bottom right", "bottom right", "lower right", "bottom-right", "bottom right corner"),
}

OPENINGS = (
    "a photo of",
    "a picture of",
    "an image of",
    "please draw",
    "draw",
    "show me",
    "there is",
    "i want",
    "minimalist illustration of",
    "a drawing of",
    "flat design,",
    "logo with",
    "icon:",
)
CLOSINGS = (
    "please",
    "high quality",
    "highly detailed",
    "4k",
    "flat style",
    "clean and simple",
    "vector art",
    "soft light",
    "studio lighting",
    "minimalism",
    "sharp focus",
)

# Everyday words. The captions strew them in as noise, so that the model learns to look past them; a
# LoRA can give any of them a meaning later, since each has its own token.
_FILLER_TEXT = """
about above abstract across after against all amazing among and animal apple are around art artistic as at
autumn awesome baby bag banana be beach beautiful bed below best beside between bird bloom boat body bold book
bottle bowl boy bread bridge bright brush build building bus butterfly cake calm camera candle car card
cartoon castle cat chair cheese chicken child church cinematic city classic clay clean clear clock close cloud
clouds coat coffee cold composition cool cozy crayon crescent crystal cup cute dance dark day deep delicate
desert design detail digital dinner dog door dragon dramatic dream drop dry eagle earth eight elegant elephant
empty epic evening every eye face fall family fantasy farm fast feather field fine fire fish five flame flat
flower flowers fly fog food foot forest four fox frame fresh friend frog fruit full fun funny garden gentle
geometric giant girl glass glow glowing good grape graphic grass great guitar hair hand happy harbor hat head
hill holding home horizon horse hot house human ice icon illustration in ink inside island isolated jacket key
king kitchen kite knight lake lamp landscape leaf lemon letter light lighting lightning line lion logo long
lonely love lovely lunch macro magic man many map market marble mask metal minimal minimalist modern monkey
mood morning mountain mouse mushroom music mystic near neat new nice night nine noble north ocean of oil old
on one open outside over owl oval oxygen page paint painted painting paper park party pastel path pattern pen
pencil people person photo photograph photographic piano picture pizza planet plant plate portrait pretty
product professional queen quick quiet rabbit rain rainbow realistic render retro rice river road robot rock
rocket roof room rose round rug rusty sand scene school sea serene seven shadow shape sharp sheep shell ship
shirt shoe shop show simple single sitting six sketch sky sleep slow smile smooth snake snow soft some song
south space spiral sport spring standing steam stone storm street strong style subtle summer sun sunny sunset
surface sweet swirl sword table tall tea ten texture three tiger time tomato tower town toy train tree truck
two umbrella under unicorn very vibrant vintage violin vivid wall warm watch water watercolor wave wheel
whimsical wide wild wind window winter wise wolf woman wonderful wood wooden world yard young zebra
"""
FILLERS = tuple(_FILLER_TEXT.split())
