# SPDX-License-Identifier: MIT
"""USB HID usages by the names that keymaps use. Names match without case, spaces and underscores,
except for the punctuation keys, which are named by themselves."""


def plain(name):
    return name.upper().replace(" ", "").replace("_", "") if len(name) > 1 else name.upper()


def numbered(first, names):
    """NAME/ALIAS NAME ...: usages from `first` upwards, one for each word."""
    return {plain(alias): first + i
            for i, word in enumerate(names.split()) for alias in word.split("|")}


KEYBOARD = numbered(0x04, """
A B C D E F G H I J K L M N O P Q R S T U V W X Y Z 1 2 3 4 5 6 7 8 9 0
ENTER|RETURN ESC|ESCAPE BACKSPACE TAB SPACE MINUS|- EQUAL|EQUALS|= LBRACE|LBRACKET|[
RBRACE|RBRACKET|] BACKSLASH|\\ HASH|NUMBER SEMICOLON|; QUOTE|' BACKTICK|GRAVE|` COMMA|,
PERIOD|. SLASH|/ CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 PRINTSCREEN SCROLLLOCK PAUSE
INSERT HOME PAGEUP DELETE END PAGEDOWN RIGHT LEFT DOWN UP NUMLOCK P/|KEYPADSLASH
P*|KEYPADASTERISK P-|KEYPADMINUS P+|KEYPADPLUS PENTER|KEYPADENTER P1|KEYPAD1 P2|KEYPAD2
P3|KEYPAD3 P4|KEYPAD4 P5|KEYPAD5 P6|KEYPAD6 P7|KEYPAD7 P8|KEYPAD8 P9|KEYPAD9 P0|KEYPAD0
P.|KEYPADPERIOD ISO/|ISOSLASH APP|MENU POWER P=|KEYPADEQUALS F13 F14 F15 F16 F17 F18 F19 F20
F21 F22 F23 F24 EXEC HELP MENU2 SELECT STOP AGAIN UNDO CUT COPY PASTE FIND MUTE VOLUMEUP
VOLUMEDOWN CAPSLOCKTOGGLE NUMLOCKTOGGLE SCROLLLOCKTOGGLE KEYPADCOMMA KEYPADEQUALSAS400
INTERNATIONAL1 INTERNATIONAL2 INTERNATIONAL3 INTERNATIONAL4 INTERNATIONAL5 INTERNATIONAL6
INTERNATIONAL7 INTERNATIONAL8 INTERNATIONAL9 LANG1 LANG2 LANG3 LANG4 LANG5 LANG6 LANG7 LANG8
LANG9""")
KEYBOARD.update(numbered(0xE0, """
LCTRL|CTRL LSHIFT|SHIFT LALT|ALT LGUI|GUI RCTRL RSHIFT RALT RGUI"""))
# Usages that no host sees: the layer keys, held, latched and locked.
for n in range(1, 17):
    KEYBOARD.update({"FUNCTION%d" % n: 0xF000 + n, "FUN%d" % n: 0xF000 + n,
                     "LAT%d" % n: 0xF100 + n, "LCK%d" % n: 0xF200 + n})

CONSUMER = {
    "BRIGHTNESSINCREMENT": 0x6F, "BRIGHTNESSDECREMENT": 0x70, "PLAY": 0xB0, "PAUSE": 0xB1,
    "RECORD": 0xB2, "FASTFORWARD": 0xB3, "REWIND": 0xB4, "SCANNEXTTRACK": 0xB5,
    "SCANPREVIOUSTRACK": 0xB6, "STOP": 0xB7, "EJECT": 0xB8, "PAUSEPLAY": 0xCD, "MUTE": 0xE2,
    "VOLUMEUP": 0xE9, "VOLUMEDOWN": 0xEA, "EMAILREADER": 0x18A, "CALCULATOR": 0x192,
    "FILEBROWSER": 0x194, "INTERNETBROWSER": 0x196, "SEARCH": 0x221, "BACK": 0x224,
    "FORWARD": 0x225, "REFRESH": 0x227,
}
SYSTEM = {"POWERDOWN": 0x81, "SLEEP": 0x82, "WAKEUP": 0x83, "COLDRESTART": 0x8E,
          "WARMRESTART": 0x8F}
PAGES = {"U": (0x07, KEYBOARD), "CONS": (0x0C, CONSUMER), "SYS": (0x01, SYSTEM)}


def usage(page, name):
    """(page, usage), or None when there is no such key."""
    number, names = PAGES[page]
    code = names.get(plain(name))
    return None if code is None else (number, code)
