# SPDX-License-Identifier: MIT
Board=IC_Pad
Product=0xB06D
. "${BASH_SOURCE%/*}/common.bash"
