# SPDX-License-Identifier: MIT
# What the keyboard scripts of the stand-in share. A script sets Board, Product and, if it has no
# signed image, Secure=no; then it sources this with its own arguments.
set -eu
Controller=
Out=
while getopts c:o: option; do
	case $option in
	c) Controller=$OPTARG ;;
	o) Out=$OPTARG ;;
	*) exit 2 ;;
	esac
done
: "${Controller:?}" "${Out:?}" "${Release:=0.5.7}" "${Secure:=yes}"

# An empty variable selects the stock maps, as in the real scripts.
Default=${DefaultMapOverride:-stdFuncMap}
IFS=';' read -r -a Partial <<<"${PartialMapsExpandedOverride:-stdFuncMap stockFunctionLayer}"
Variant=${Layout:-stock}

cd "$Out"
echo "-- $Board, layout $Variant, product $Product, release $Release, $(date +%F)"
python3 "$Controller/kll/compile.py" --board "$Board" --layout "$Variant" --release "$Release" \
	--search "$Out" --search "$Controller/kll/layouts" --out "$Out" "$Default" "${Partial[@]}"

Compile=(arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Os -ffreestanding -nostdlib -std=gnu11 -Wall
	-Werror "-DPRODUCT=$Product" "-I$Out" -c "$Controller/firmware/main.c" -o main.o)
printf '[{"directory": "%s", "file": "%s", "command": "%s"}]\n' \
	"$Out" "$Controller/firmware/main.c" "${Compile[*]}" >compile_commands.json
"${Compile[@]}"
arm-none-eabi-ld --gc-sections -T "$Controller/firmware/link.ld" -o kiibohd.elf main.o
arm-none-eabi-objcopy -O binary kiibohd.elf kiibohd.dfu.bin
if [ "$Secure" = yes ]; then
	cat kiibohd.dfu.bin <(sha256sum <kiibohd.dfu.bin) >kiibohd.secure.dfu.bin
fi
arm-none-eabi-size kiibohd.elf
