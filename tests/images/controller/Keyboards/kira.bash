# SPDX-License-Identifier: MIT
Board=Kira
Product=0xB05D
Secure=no
. "${BASH_SOURCE%/*}/common.bash"
