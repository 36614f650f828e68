# SPDX-License-Identifier: MIT
Board=K-Type
Product=0xB04D
. "${BASH_SOURCE%/*}/common.bash"
