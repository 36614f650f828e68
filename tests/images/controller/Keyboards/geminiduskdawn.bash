# SPDX-License-Identifier: MIT
Board=GeminiDuskDawn
Product=0xB07D
. "${BASH_SOURCE%/*}/common.bash"
