# SPDX-License-Identifier: MIT
Board=Infinity_Ergodox
Product=0xB04D
. "${BASH_SOURCE%/*}/common.bash"
