# One library per folder, made of the .cpp files that lie in it; one test program per folder of tests.

function(umbra_target_name folder out)
  string(REPLACE "/" "_" name ${folder})
  set(${out} umbra_${name} PARENT_SCOPE)
endfunction()

function(umbra_link target)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  foreach(dep ${ARG_DEPS})
    umbra_target_name(${dep} lib)
    if(TARGET ${lib})
      target_link_libraries(${target} ${UMBRA_LINK_KIND} ${lib})
    endif()
  endforeach()
  target_link_libraries(${target} ${UMBRA_LINK_KIND} ${ARG_LIBS})
endfunction()

function(umbra_folder folder)
  umbra_target_name(${folder} target)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(sources)
    add_library(${target} STATIC ${sources})
    set(UMBRA_LINK_KIND PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(UMBRA_LINK_KIND INTERFACE)
  endif()
  umbra_link(${target} ${ARGN})
endfunction()

function(umbra_program name source)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${source})
    return()
  endif()
  add_executable(${name} ${source})
  set(UMBRA_LINK_KIND PRIVATE)
  umbra_link(${name} ${ARGN})
endfunction()

# roms/NAME.asm becomes build/roms/NAME.bin.
find_program(NASM nasm REQUIRED)
function(umbra_rom name)
  set(out ${CMAKE_BINARY_DIR}/roms/${name}.bin)
  add_custom_command(OUTPUT ${out} DEPENDS ${CMAKE_SOURCE_DIR}/roms/${name}.asm
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/roms
    COMMAND ${NASM} -f bin -o ${out} ${CMAKE_SOURCE_DIR}/roms/${name}.asm)
  add_custom_target(rom_${name} ALL DEPENDS ${out})
endfunction()

# tests/asm/NAME.asm becomes UMBRA_TEST_ASM "/NAME.bin" for the test program `target`.
function(umbra_test_asm target name)
  set(out ${CMAKE_BINARY_DIR}/tests/asm/${name}.bin)
  add_custom_command(OUTPUT ${out} DEPENDS ${CMAKE_SOURCE_DIR}/tests/asm/${name}.asm ${CMAKE_SOURCE_DIR}/tests/asm/flat_rom.inc
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/tests/asm
    COMMAND ${NASM} -f bin -i ${CMAKE_SOURCE_DIR}/tests/asm/ -o ${out} ${CMAKE_SOURCE_DIR}/tests/asm/${name}.asm)
  add_custom_target(asm_${name} DEPENDS ${out})
  add_dependencies(${target} asm_${name})
  target_compile_definitions(${target} PRIVATE UMBRA_TEST_ASM="${CMAKE_BINARY_DIR}/tests/asm")
endfunction()

add_custom_target(unit_tests)

# tests/asm/cpu/*.asm become build/tests/asm/cpu/*.bin, which `target` finds by UMBRA_ASM_BINARIES.
function(umbra_asm_programs target)
  set(folder ${CMAKE_SOURCE_DIR}/tests/asm/cpu)
  set(binaries ${CMAKE_BINARY_DIR}/tests/asm/cpu)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.asm)
  file(GLOB includes CONFIGURE_DEPENDS ${folder}/*.inc)
  if(NOT TARGET asm_programs)
    foreach(source ${sources})
      get_filename_component(stem ${source} NAME_WE)
      add_custom_command(OUTPUT ${binaries}/${stem}.bin DEPENDS ${source} ${includes}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${binaries}
        COMMAND ${NASM} -f bin -i ${folder}/ -o ${binaries}/${stem}.bin ${source})
      list(APPEND outputs ${binaries}/${stem}.bin)
    endforeach()
    add_custom_target(asm_programs DEPENDS ${outputs})
  endif()
  add_dependencies(${target} asm_programs)
  target_compile_definitions(${target} PRIVATE UMBRA_ASM_BINARIES="${binaries}")
endfunction()

# Every tests/FOLDER/*_test.cpp goes into the program tests/FOLDER_tests; ctest shows one line per file.
# Files that end in _slow_test.cpp get the label "slow" and run in `./check --all` only.
function(umbra_tests folder)
  string(REPLACE "/" "_" flat ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_run\\.cpp$") # programs of their own
  if(NOT sources)
    return()
  endif()
  set(target ${flat}_tests)
  add_executable(${target} ${sources})
  set(UMBRA_LINK_KIND PRIVATE)
  umbra_link(${target} ${ARGN})
  add_dependencies(unit_tests ${target})
  target_link_libraries(${target} PRIVATE umbra_test_main)
  target_precompile_headers(${target} PRIVATE <catch2/catch.hpp>)
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    if(stem MATCHES "_test$")
      string(REGEX REPLACE "_test$" "" short ${stem})
      add_test(NAME ${folder}/${short} COMMAND ${target} -\# "[\#${stem}]")
      set_tests_properties(${folder}/${short} PROPERTIES WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} TIMEOUT 600)
      if(stem MATCHES "_slow_test$")
        set_tests_properties(${folder}/${short} PROPERTIES LABELS "unit;slow")
      else()
        set_tests_properties(${folder}/${short} PROPERTIES LABELS unit)
      endif()
    endif()
  endforeach()
endfunction()
