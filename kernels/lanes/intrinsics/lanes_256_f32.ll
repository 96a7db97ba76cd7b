; Written by kernels/lanes/generate.py: 8 lanes of float. Do not edit.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
declare <8 x float> @llvm.sqrt.v8f32(<8 x float>)
declare <8 x float> @llvm.fabs.v8f32(<8 x float>)
declare <8 x float> @llvm.copysign.v8f32(<8 x float>, <8 x float>)
declare void @llvm.prefetch.p0i8(i8*, i32, i32, i32)
declare <8 x float> @llvm.masked.load.v8f32.p0v8f32(<8 x float>*, i32, <8 x i1>, <8 x float>)
declare void @llvm.masked.store.v8f32.p0v8f32(<8 x float>, <8 x float>*, i32, <8 x i1>)
declare <8 x half> @llvm.masked.load.v8f16.p0v8f16(<8 x half>*, i32, <8 x i1>, <8 x half>)
declare void @llvm.masked.store.v8f16.p0v8f16(<8 x half>, <8 x half>*, i32, <8 x i1>)
declare <8 x i16> @llvm.masked.load.v8i16.p0v8i16(<8 x i16>*, i32, <8 x i1>, <8 x i16>)
declare void @llvm.masked.store.v8i16.p0v8i16(<8 x i16>, <8 x i16>*, i32, <8 x i1>)
declare <8 x i8> @llvm.masked.load.v8i8.p0v8i8(<8 x i8>*, i32, <8 x i1>, <8 x i8>)

define void @fma_s_v8f32(float* %a0, <8 x float>* %a1, <8 x float>* %a2) alwaysinline {
  %t1 = load float, float* %a0
  %t2 = insertelement <8 x float> undef, float %t1, i32 0
  %t3 = shufflevector <8 x float> %t2, <8 x float> undef, <8 x i32> zeroinitializer
  %t4 = load <8 x float>, <8 x float>* %a1
  %t5 = load <8 x float>, <8 x float>* %a2
  %t6 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t3, <8 x float> %t4, <8 x float> %t5)
  store <8 x float> %t6, <8 x float>* %a2
  ret void
}

define void @fma_v_v8f32(<8 x float>* %a0, <8 x float>* %a1, <8 x float>* %a2) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = load <8 x float>, <8 x float>* %a1
  %t3 = load <8 x float>, <8 x float>* %a2
  %t4 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t1, <8 x float> %t2, <8 x float> %t3)
  store <8 x float> %t4, <8 x float>* %a2
  ret void
}

define void @exp_sub_v8f32(<8 x float>* %a0, <8 x float>* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = load <8 x float>, <8 x float>* %a1
  %t3 = fsub <8 x float> %t1, %t2
  %t4 = fcmp olt <8 x float> %t3, <float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000>
  %t5 = select <8 x i1> %t4, <8 x float> <float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000, float 0xC055F999A0000000>, <8 x float> %t3
  %t6 = fmul <8 x float> %t5, <float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000>
  %t7 = fadd <8 x float> %t6, <float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000>
  %t8 = fsub <8 x float> %t7, <float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000, float 0x4168000FE0000000>
  %t9 = fsub <8 x float> %t6, %t8
  %t10 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000, float 0x3F55BBA080000000>, <8 x float> %t9, <8 x float> <float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000, float 0x3F83CEA880000000>)
  %t11 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t10, <8 x float> %t9, <8 x float> <float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000, float 0x3FAC6B7540000000>)
  %t12 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t11, <8 x float> %t9, <8 x float> <float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000, float 0x3FCEBF9BC0000000>)
  %t13 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t12, <8 x float> %t9, <8 x float> <float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000, float 0x3FE62E42A0000000>)
  %t14 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t13, <8 x float> %t9, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t15 = bitcast <8 x float> %t7 to <8 x i32>
  %t16 = shl <8 x i32> %t15, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t17 = bitcast <8 x i32> %t16 to <8 x float>
  %t18 = fmul <8 x float> %t14, %t17
  store <8 x float> %t18, <8 x float>* %o
  ret void
}

define void @exp_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = fcmp olt <8 x float> %t1, <float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000>
  %t3 = fcmp ogt <8 x float> %t1, <float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000>
  %t4 = select <8 x i1> %t3, <8 x float> <float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000>, <8 x float> %t1
  %t5 = select <8 x i1> %t2, <8 x float> <float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000>, <8 x float> %t4
  %t6 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t5, <8 x float> <float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000>, <8 x float> <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>)
  %t7 = fsub <8 x float> %t6, <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>
  %t8 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t7, <8 x float> <float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000>, <8 x float> %t5)
  %t9 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t7, <8 x float> <float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000>, <8 x float> %t8)
  %t10 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000>, <8 x float> %t9, <8 x float> <float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000>)
  %t11 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t10, <8 x float> %t9, <8 x float> <float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000>)
  %t12 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t11, <8 x float> %t9, <8 x float> <float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000>)
  %t13 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t12, <8 x float> %t9, <8 x float> <float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000>)
  %t14 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t13, <8 x float> %t9, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t14, <8 x float> %t9, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t16 = bitcast <8 x float> %t6 to <8 x i32>
  %t17 = bitcast <8 x float> <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000> to <8 x i32>
  %t18 = sub <8 x i32> %t16, %t17
  %t19 = ashr <8 x i32> %t18, <i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1>
  %t20 = sub <8 x i32> %t18, %t19
  %t21 = bitcast <8 x float> %t15 to <8 x i32>
  %t22 = shl <8 x i32> %t19, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t23 = add <8 x i32> %t21, %t22
  %t24 = bitcast <8 x i32> %t23 to <8 x float>
  %t25 = bitcast <8 x float> %t24 to <8 x i32>
  %t26 = shl <8 x i32> %t20, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t27 = add <8 x i32> %t25, %t26
  %t28 = bitcast <8 x i32> %t27 to <8 x float>
  %t29 = select <8 x i1> %t3, <8 x float> <float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000>, <8 x float> %t28
  %t30 = select <8 x i1> %t2, <8 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, <8 x float> %t29
  %t31 = fcmp uno <8 x float> %t1, %t1
  %t32 = select <8 x i1> %t31, <8 x float> %t1, <8 x float> %t30
  store <8 x float> %t32, <8 x float>* %o
  ret void
}

define void @exp2_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = fcmp olt <8 x float> %t1, <float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000>
  %t3 = fcmp ogt <8 x float> %t1, <float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000>
  %t4 = select <8 x i1> %t3, <8 x float> <float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000, float 0x4060000000000000>, <8 x float> %t1
  %t5 = select <8 x i1> %t2, <8 x float> <float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000, float 0xC05F800000000000>, <8 x float> %t4
  %t6 = fadd <8 x float> %t5, <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>
  %t7 = fsub <8 x float> %t6, <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>
  %t8 = fsub <8 x float> %t5, %t7
  %t9 = fmul <8 x float> %t8, <float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000, float 0x3FE62E4300000000>
  %t10 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000>, <8 x float> %t9, <8 x float> <float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000>)
  %t11 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t10, <8 x float> %t9, <8 x float> <float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000>)
  %t12 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t11, <8 x float> %t9, <8 x float> <float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000>)
  %t13 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t12, <8 x float> %t9, <8 x float> <float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000>)
  %t14 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t13, <8 x float> %t9, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t14, <8 x float> %t9, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t16 = bitcast <8 x float> %t6 to <8 x i32>
  %t17 = bitcast <8 x float> <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000> to <8 x i32>
  %t18 = sub <8 x i32> %t16, %t17
  %t19 = ashr <8 x i32> %t18, <i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1>
  %t20 = sub <8 x i32> %t18, %t19
  %t21 = bitcast <8 x float> %t15 to <8 x i32>
  %t22 = shl <8 x i32> %t19, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t23 = add <8 x i32> %t21, %t22
  %t24 = bitcast <8 x i32> %t23 to <8 x float>
  %t25 = bitcast <8 x float> %t24 to <8 x i32>
  %t26 = shl <8 x i32> %t20, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t27 = add <8 x i32> %t25, %t26
  %t28 = bitcast <8 x i32> %t27 to <8 x float>
  %t29 = select <8 x i1> %t3, <8 x float> <float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000>, <8 x float> %t28
  %t30 = select <8 x i1> %t2, <8 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, <8 x float> %t29
  %t31 = fcmp uno <8 x float> %t1, %t1
  %t32 = select <8 x i1> %t31, <8 x float> %t1, <8 x float> %t30
  store <8 x float> %t32, <8 x float>* %o
  ret void
}

define void @log_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = bitcast <8 x float> %t1 to <8 x i32>
  %t3 = bitcast <8 x float> <float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000> to <8 x i32>
  %t4 = sub <8 x i32> %t2, %t3
  %t5 = ashr <8 x i32> %t4, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t6 = shl <8 x i32> %t5, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t7 = sub <8 x i32> %t2, %t6
  %t8 = bitcast <8 x i32> %t7 to <8 x float>
  %t9 = sitofp <8 x i32> %t5 to <8 x float>
  %t10 = fsub <8 x float> %t8, <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>
  %t11 = fadd <8 x float> %t8, <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>
  %t12 = fdiv <8 x float> %t10, %t11
  %t13 = fmul <8 x float> %t12, %t12
  %t14 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000>, <8 x float> %t13, <8 x float> <float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000>)
  %t15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t14, <8 x float> %t13, <8 x float> <float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000>)
  %t16 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t15, <8 x float> %t13, <8 x float> <float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000>)
  %t17 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t16, <8 x float> %t13, <8 x float> <float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000>)
  %t18 = fmul <8 x float> %t13, %t12
  %t19 = fadd <8 x float> %t12, %t12
  %t20 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t18, <8 x float> %t17, <8 x float> %t19)
  %t21 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t9, <8 x float> <float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000>, <8 x float> %t20)
  %t22 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t9, <8 x float> <float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000>, <8 x float> %t21)
  %t23 = fcmp oeq <8 x float> %t1, <float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000>
  %t24 = select <8 x i1> %t23, <8 x float> %t1, <8 x float> %t22
  %t25 = fcmp olt <8 x float> %t1, <float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000>
  %t26 = select <8 x i1> %t25, <8 x float> <float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000>, <8 x float> %t24
  %t27 = fcmp ult <8 x float> %t1, <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>
  %t28 = select <8 x i1> %t27, <8 x float> <float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000>, <8 x float> %t26
  store <8 x float> %t28, <8 x float>* %o
  ret void
}

define void @log2_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = bitcast <8 x float> %t1 to <8 x i32>
  %t3 = bitcast <8 x float> <float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000, float 0x3FE6A09E60000000> to <8 x i32>
  %t4 = sub <8 x i32> %t2, %t3
  %t5 = ashr <8 x i32> %t4, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t6 = shl <8 x i32> %t5, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t7 = sub <8 x i32> %t2, %t6
  %t8 = bitcast <8 x i32> %t7 to <8 x float>
  %t9 = sitofp <8 x i32> %t5 to <8 x float>
  %t10 = fsub <8 x float> %t8, <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>
  %t11 = fadd <8 x float> %t8, <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>
  %t12 = fdiv <8 x float> %t10, %t11
  %t13 = fmul <8 x float> %t12, %t12
  %t14 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000, float 0x3FC745D180000000>, <8 x float> %t13, <8 x float> <float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000, float 0x3FCC71C720000000>)
  %t15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t14, <8 x float> %t13, <8 x float> <float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000, float 0x3FD24924A0000000>)
  %t16 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t15, <8 x float> %t13, <8 x float> <float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000, float 0x3FD99999A0000000>)
  %t17 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t16, <8 x float> %t13, <8 x float> <float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000, float 0x3FE5555560000000>)
  %t18 = fmul <8 x float> %t13, %t12
  %t19 = fadd <8 x float> %t12, %t12
  %t20 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t18, <8 x float> %t17, <8 x float> %t19)
  %t21 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t9, <8 x float> <float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000, float 0xBF2BD01060000000>, <8 x float> %t20)
  %t22 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t9, <8 x float> <float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000, float 0x3FE6300000000000>, <8 x float> %t21)
  %t23 = fcmp oeq <8 x float> %t1, <float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000>
  %t24 = select <8 x i1> %t23, <8 x float> %t1, <8 x float> %t22
  %t25 = fcmp olt <8 x float> %t1, <float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000, float 0x3810000000000000>
  %t26 = select <8 x i1> %t25, <8 x float> <float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000>, <8 x float> %t24
  %t27 = fcmp ult <8 x float> %t1, <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>
  %t28 = select <8 x i1> %t27, <8 x float> <float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000, float 0x7FF8000000000000>, <8 x float> %t26
  %t29 = fmul <8 x float> %t28, <float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000>
  store <8 x float> %t29, <8 x float>* %o
  ret void
}

define void @sqrt_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = call <8 x float> @llvm.sqrt.v8f32(<8 x float> %t1)
  store <8 x float> %t2, <8 x float>* %o
  ret void
}

define void @tanh_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = call <8 x float> @llvm.fabs.v8f32(<8 x float> %t1)
  %t3 = fmul <8 x float> %t1, %t1
  %t4 = fmul <8 x float> %t3, %t1
  %t5 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000, float 0xBF775E17A0000000>, <8 x float> %t3, <8 x float> <float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000, float 0x3F95226860000000>)
  %t6 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t5, <8 x float> %t3, <8 x float> <float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000, float 0xBFAB83C560000000>)
  %t7 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t6, <8 x float> %t3, <8 x float> <float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000, float 0x3FC1107260000000>)
  %t8 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t7, <8 x float> %t3, <8 x float> <float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000, float 0xBFD5555320000000>)
  %t9 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t4, <8 x float> %t8, <8 x float> %t1)
  %t10 = fadd <8 x float> %t2, %t2
  %t11 = fcmp olt <8 x float> %t10, <float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000>
  %t12 = fcmp ogt <8 x float> %t10, <float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000>
  %t13 = select <8 x i1> %t12, <8 x float> <float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000, float 0x40562E42E0000000>, <8 x float> %t10
  %t14 = select <8 x i1> %t11, <8 x float> <float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000, float 0xC055D589E0000000>, <8 x float> %t13
  %t15 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t14, <8 x float> <float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000, float 0x3FF7154760000000>, <8 x float> <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>)
  %t16 = fsub <8 x float> %t15, <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000>
  %t17 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t16, <8 x float> <float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000, float 0xBFE6300000000000>, <8 x float> %t14)
  %t18 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t16, <8 x float> <float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000, float 0x3F2BD01060000000>, <8 x float> %t17)
  %t19 = call <8 x float> @llvm.fma.v8f32(<8 x float> <float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000, float 0x3F56A24440000000>, <8 x float> %t18, <8 x float> <float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000, float 0x3F81239D40000000>)
  %t20 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t19, <8 x float> %t18, <8 x float> <float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000, float 0x3FA5558F20000000>)
  %t21 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t20, <8 x float> %t18, <8 x float> <float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000, float 0x3FC5554920000000>)
  %t22 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t21, <8 x float> %t18, <8 x float> <float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000, float 0x3FDFFFFFC0000000>)
  %t23 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t22, <8 x float> %t18, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t24 = call <8 x float> @llvm.fma.v8f32(<8 x float> %t23, <8 x float> %t18, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>)
  %t25 = bitcast <8 x float> %t15 to <8 x i32>
  %t26 = bitcast <8 x float> <float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000, float 0x4168000000000000> to <8 x i32>
  %t27 = sub <8 x i32> %t25, %t26
  %t28 = ashr <8 x i32> %t27, <i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1>
  %t29 = sub <8 x i32> %t27, %t28
  %t30 = bitcast <8 x float> %t24 to <8 x i32>
  %t31 = shl <8 x i32> %t28, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t32 = add <8 x i32> %t30, %t31
  %t33 = bitcast <8 x i32> %t32 to <8 x float>
  %t34 = bitcast <8 x float> %t33 to <8 x i32>
  %t35 = shl <8 x i32> %t29, <i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23, i32 23>
  %t36 = add <8 x i32> %t34, %t35
  %t37 = bitcast <8 x i32> %t36 to <8 x float>
  %t38 = select <8 x i1> %t12, <8 x float> <float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000, float 0x7FF0000000000000>, <8 x float> %t37
  %t39 = select <8 x i1> %t11, <8 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>, <8 x float> %t38
  %t40 = fcmp uno <8 x float> %t10, %t10
  %t41 = select <8 x i1> %t40, <8 x float> %t10, <8 x float> %t39
  %t42 = fadd <8 x float> %t41, <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>
  %t43 = fdiv <8 x float> <float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000, float 0x4000000000000000>, %t42
  %t44 = fsub <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>, %t43
  %t45 = call <8 x float> @llvm.copysign.v8f32(<8 x float> %t44, <8 x float> %t1)
  %t46 = fcmp olt <8 x float> %t2, <float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000, float 0x3FE4000000000000>
  %t47 = select <8 x i1> %t46, <8 x float> %t9, <8 x float> %t45
  store <8 x float> %t47, <8 x float>* %o
  ret void
}

define void @max_v8f32(<8 x float>* %a0, <8 x float>* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = load <8 x float>, <8 x float>* %a1
  %t3 = fcmp ogt <8 x float> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x float> %t1, <8 x float> %t2
  store <8 x float> %t4, <8 x float>* %o
  ret void
}

define void @nonfinite_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = fsub <8 x float> %t1, %t1
  %t3 = fcmp une <8 x float> %t2, <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>
  %t4 = select <8 x i1> %t3, <8 x float> <float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000, float 0x3FF0000000000000>, <8 x float> <float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000, float 0x0000000000000000>
  store <8 x float> %t4, <8 x float>* %o
  ret void
}

define void @load_v8f32(i64* %a0, i64* %a1, float* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = load float, float* %t4
  store float %t5, float* %o
  ret void
}

define void @keep_v8f32(<8 x float>* %a0, i32* %a1, <8 x i32>* %a2, <8 x i32>* %a3, <8 x float>* %o) alwaysinline {
  %t1 = load i32, i32* %a1
  %t2 = insertelement <8 x i32> undef, i32 %t1, i32 0
  %t3 = shufflevector <8 x i32> %t2, <8 x i32> undef, <8 x i32> zeroinitializer
  %t4 = load <8 x i32>, <8 x i32>* %a2
  %t5 = icmp sge <8 x i32> %t3, %t4
  %t6 = load <8 x i32>, <8 x i32>* %a3
  %t7 = icmp slt <8 x i32> %t3, %t6
  %t8 = and <8 x i1> %t5, %t7
  %t9 = load <8 x float>, <8 x float>* %a0
  %t10 = select <8 x i1> %t8, <8 x float> %t9, <8 x float> <float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000, float 0xFFF0000000000000>
  store <8 x float> %t10, <8 x float>* %o
  ret void
}

define void @where_equal_v8f32(<8 x float>* %a0, float* %a1, <8 x float>* %a2, <8 x float>* %a3, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = load float, float* %a1
  %t3 = insertelement <8 x float> undef, float %t2, i32 0
  %t4 = shufflevector <8 x float> %t3, <8 x float> undef, <8 x i32> zeroinitializer
  %t5 = fcmp oeq <8 x float> %t1, %t4
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = load <8 x float>, <8 x float>* %a3
  %t8 = select <8 x i1> %t5, <8 x float> %t6, <8 x float> %t7
  store <8 x float> %t8, <8 x float>* %o
  ret void
}

define void @read_f32_v8f32(i64* %a0, i64* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = bitcast float* %t4 to <8 x float>*
  %t6 = load <8 x float>, <8 x float>* %t5, align 4
  store <8 x float> %t6, <8 x float>* %o
  ret void
}

define void @read_part_f32_v8f32(i64* %a0, i64* %a1, i32* %a2, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = bitcast float* %t4 to <8 x float>*
  %t6 = load i32, i32* %a2
  %t7 = insertelement <8 x i32> undef, i32 %t6, i32 0
  %t8 = shufflevector <8 x i32> %t7, <8 x i32> undef, <8 x i32> zeroinitializer
  %t9 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t8
  %t10 = call <8 x float> @llvm.masked.load.v8f32.p0v8f32(<8 x float>* %t5, i32 4, <8 x i1> %t9, <8 x float> zeroinitializer)
  store <8 x float> %t10, <8 x float>* %o
  ret void
}

define void @write_f32_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = bitcast float* %t4 to <8 x float>*
  %t6 = load <8 x float>, <8 x float>* %a2
  store <8 x float> %t6, <8 x float>* %t5, align 4
  ret void
}

define void @write_part_f32_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2, i32* %a3) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = bitcast float* %t4 to <8 x float>*
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = load i32, i32* %a3
  %t8 = insertelement <8 x i32> undef, i32 %t7, i32 0
  %t9 = shufflevector <8 x i32> %t8, <8 x i32> undef, <8 x i32> zeroinitializer
  %t10 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t9
  call void @llvm.masked.store.v8f32.p0v8f32(<8 x float> %t6, <8 x float>* %t5, i32 4, <8 x i1> %t10)
  ret void
}

define void @read_f16_v8f32(i64* %a0, i64* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to half*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr half, half* %t2, i64 %t3
  %t5 = bitcast half* %t4 to <8 x half>*
  %t6 = load <8 x half>, <8 x half>* %t5, align 2
  %t7 = fpext <8 x half> %t6 to <8 x float>
  store <8 x float> %t7, <8 x float>* %o
  ret void
}

define void @read_part_f16_v8f32(i64* %a0, i64* %a1, i32* %a2, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to half*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr half, half* %t2, i64 %t3
  %t5 = bitcast half* %t4 to <8 x half>*
  %t6 = load i32, i32* %a2
  %t7 = insertelement <8 x i32> undef, i32 %t6, i32 0
  %t8 = shufflevector <8 x i32> %t7, <8 x i32> undef, <8 x i32> zeroinitializer
  %t9 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t8
  %t10 = call <8 x half> @llvm.masked.load.v8f16.p0v8f16(<8 x half>* %t5, i32 2, <8 x i1> %t9, <8 x half> zeroinitializer)
  %t11 = fpext <8 x half> %t10 to <8 x float>
  store <8 x float> %t11, <8 x float>* %o
  ret void
}

define void @write_f16_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to half*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr half, half* %t2, i64 %t3
  %t5 = bitcast half* %t4 to <8 x half>*
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = fptrunc <8 x float> %t6 to <8 x half>
  store <8 x half> %t7, <8 x half>* %t5, align 2
  ret void
}

define void @write_part_f16_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2, i32* %a3) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to half*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr half, half* %t2, i64 %t3
  %t5 = bitcast half* %t4 to <8 x half>*
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = fptrunc <8 x float> %t6 to <8 x half>
  %t8 = load i32, i32* %a3
  %t9 = insertelement <8 x i32> undef, i32 %t8, i32 0
  %t10 = shufflevector <8 x i32> %t9, <8 x i32> undef, <8 x i32> zeroinitializer
  %t11 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t10
  call void @llvm.masked.store.v8f16.p0v8f16(<8 x half> %t7, <8 x half>* %t5, i32 2, <8 x i1> %t11)
  ret void
}

define void @read_bf16_v8f32(i64* %a0, i64* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i16*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i16, i16* %t2, i64 %t3
  %t5 = bitcast i16* %t4 to <8 x i16>*
  %t6 = load <8 x i16>, <8 x i16>* %t5, align 2
  %t7 = zext <8 x i16> %t6 to <8 x i32>
  %t8 = shl <8 x i32> %t7, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t9 = bitcast <8 x i32> %t8 to <8 x float>
  store <8 x float> %t9, <8 x float>* %o
  ret void
}

define void @read_part_bf16_v8f32(i64* %a0, i64* %a1, i32* %a2, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i16*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i16, i16* %t2, i64 %t3
  %t5 = bitcast i16* %t4 to <8 x i16>*
  %t6 = load i32, i32* %a2
  %t7 = insertelement <8 x i32> undef, i32 %t6, i32 0
  %t8 = shufflevector <8 x i32> %t7, <8 x i32> undef, <8 x i32> zeroinitializer
  %t9 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t8
  %t10 = call <8 x i16> @llvm.masked.load.v8i16.p0v8i16(<8 x i16>* %t5, i32 2, <8 x i1> %t9, <8 x i16> zeroinitializer)
  %t11 = zext <8 x i16> %t10 to <8 x i32>
  %t12 = shl <8 x i32> %t11, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t13 = bitcast <8 x i32> %t12 to <8 x float>
  store <8 x float> %t13, <8 x float>* %o
  ret void
}

define void @write_bf16_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i16*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i16, i16* %t2, i64 %t3
  %t5 = bitcast i16* %t4 to <8 x i16>*
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = bitcast <8 x float> %t6 to <8 x i32>
  %t8 = lshr <8 x i32> %t7, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t9 = and <8 x i32> %t8, <i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1>
  %t10 = add <8 x i32> %t7, <i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767>
  %t11 = add <8 x i32> %t10, %t9
  %t12 = lshr <8 x i32> %t11, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t13 = or <8 x i32> %t8, <i32 64, i32 64, i32 64, i32 64, i32 64, i32 64, i32 64, i32 64>
  %t14 = fcmp uno <8 x float> %t6, %t6
  %t15 = select <8 x i1> %t14, <8 x i32> %t13, <8 x i32> %t12
  %t16 = trunc <8 x i32> %t15 to <8 x i16>
  store <8 x i16> %t16, <8 x i16>* %t5, align 2
  ret void
}

define void @write_part_bf16_v8f32(i64* %a0, i64* %a1, <8 x float>* %a2, i32* %a3) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i16*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i16, i16* %t2, i64 %t3
  %t5 = bitcast i16* %t4 to <8 x i16>*
  %t6 = load <8 x float>, <8 x float>* %a2
  %t7 = bitcast <8 x float> %t6 to <8 x i32>
  %t8 = lshr <8 x i32> %t7, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t9 = and <8 x i32> %t8, <i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1, i32 1>
  %t10 = add <8 x i32> %t7, <i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767, i32 32767>
  %t11 = add <8 x i32> %t10, %t9
  %t12 = lshr <8 x i32> %t11, <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16>
  %t13 = or <8 x i32> %t8, <i32 64, i32 64, i32 64, i32 64, i32 64, i32 64, i32 64, i32 64>
  %t14 = fcmp uno <8 x float> %t6, %t6
  %t15 = select <8 x i1> %t14, <8 x i32> %t13, <8 x i32> %t12
  %t16 = trunc <8 x i32> %t15 to <8 x i16>
  %t17 = load i32, i32* %a3
  %t18 = insertelement <8 x i32> undef, i32 %t17, i32 0
  %t19 = shufflevector <8 x i32> %t18, <8 x i32> undef, <8 x i32> zeroinitializer
  %t20 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t19
  call void @llvm.masked.store.v8i16.p0v8i16(<8 x i16> %t16, <8 x i16>* %t5, i32 2, <8 x i1> %t20)
  ret void
}

define void @read_i8_v8f32(i64* %a0, i64* %a1, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  %t5 = bitcast i8* %t4 to <8 x i8>*
  %t6 = load <8 x i8>, <8 x i8>* %t5, align 1
  %t7 = sitofp <8 x i8> %t6 to <8 x float>
  store <8 x float> %t7, <8 x float>* %o
  ret void
}

define void @read_part_i8_v8f32(i64* %a0, i64* %a1, i32* %a2, <8 x float>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  %t5 = bitcast i8* %t4 to <8 x i8>*
  %t6 = load i32, i32* %a2
  %t7 = insertelement <8 x i32> undef, i32 %t6, i32 0
  %t8 = shufflevector <8 x i32> %t7, <8 x i32> undef, <8 x i32> zeroinitializer
  %t9 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t8
  %t10 = call <8 x i8> @llvm.masked.load.v8i8.p0v8i8(<8 x i8>* %t5, i32 1, <8 x i1> %t9, <8 x i8> zeroinitializer)
  %t11 = sitofp <8 x i8> %t10 to <8 x float>
  store <8 x float> %t11, <8 x float>* %o
  ret void
}

define void @read_i32_v8f32(i64* %a0, i64* %a1, i32* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i32*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i32, i32* %t2, i64 %t3
  %t5 = load i32, i32* %t4, align 4
  store i32 %t5, i32* %o
  ret void
}

define void @store_v8f32(i64* %a0, i64* %a1, float* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to float*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr float, float* %t2, i64 %t3
  %t5 = load float, float* %a2
  store float %t5, float* %t4, align 4
  ret void
}

define void @prefetch_1_v8f32(i64* %a0, i64* %a1) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  call void @llvm.prefetch.p0i8(i8* %t4, i32 0, i32 3, i32 1)
  ret void
}

define void @prefetch_2_v8f32(i64* %a0, i64* %a1) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  call void @llvm.prefetch.p0i8(i8* %t4, i32 0, i32 2, i32 1)
  ret void
}

define void @total_by_lane_v8f32(<8 x float>* %a0, <8 x float>* %a1, <8 x float>* %a2, <8 x float>* %a3, <8 x float>* %a4, <8 x float>* %a5, <8 x float>* %a6, <8 x float>* %a7, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = load <8 x float>, <8 x float>* %a1
  %t3 = load <8 x float>, <8 x float>* %a2
  %t4 = load <8 x float>, <8 x float>* %a3
  %t5 = load <8 x float>, <8 x float>* %a4
  %t6 = load <8 x float>, <8 x float>* %a5
  %t7 = load <8 x float>, <8 x float>* %a6
  %t8 = load <8 x float>, <8 x float>* %a7
  %t9 = shufflevector <8 x float> %t1, <8 x float> %t5, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t10 = shufflevector <8 x float> %t1, <8 x float> %t5, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t11 = fadd <8 x float> %t9, %t10
  %t12 = shufflevector <8 x float> %t2, <8 x float> %t6, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t13 = shufflevector <8 x float> %t2, <8 x float> %t6, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t14 = fadd <8 x float> %t12, %t13
  %t15 = shufflevector <8 x float> %t3, <8 x float> %t7, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t16 = shufflevector <8 x float> %t3, <8 x float> %t7, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t17 = fadd <8 x float> %t15, %t16
  %t18 = shufflevector <8 x float> %t4, <8 x float> %t8, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t19 = shufflevector <8 x float> %t4, <8 x float> %t8, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t20 = fadd <8 x float> %t18, %t19
  %t21 = shufflevector <8 x float> %t11, <8 x float> %t17, <8 x i32> <i32 0, i32 1, i32 10, i32 11, i32 4, i32 5, i32 14, i32 15>
  %t22 = shufflevector <8 x float> %t11, <8 x float> %t17, <8 x i32> <i32 2, i32 3, i32 8, i32 9, i32 6, i32 7, i32 12, i32 13>
  %t23 = fadd <8 x float> %t21, %t22
  %t24 = shufflevector <8 x float> %t14, <8 x float> %t20, <8 x i32> <i32 0, i32 1, i32 10, i32 11, i32 4, i32 5, i32 14, i32 15>
  %t25 = shufflevector <8 x float> %t14, <8 x float> %t20, <8 x i32> <i32 2, i32 3, i32 8, i32 9, i32 6, i32 7, i32 12, i32 13>
  %t26 = fadd <8 x float> %t24, %t25
  %t27 = shufflevector <8 x float> %t23, <8 x float> %t26, <8 x i32> <i32 0, i32 9, i32 2, i32 11, i32 4, i32 13, i32 6, i32 15>
  %t28 = shufflevector <8 x float> %t23, <8 x float> %t26, <8 x i32> <i32 1, i32 8, i32 3, i32 10, i32 5, i32 12, i32 7, i32 14>
  %t29 = fadd <8 x float> %t27, %t28
  store <8 x float> %t29, <8 x float>* %o
  ret void
}

define void @max_across_1_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 1, i32 0, i32 3, i32 2, i32 5, i32 4, i32 7, i32 6>
  %t3 = fcmp ogt <8 x float> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x float> %t1, <8 x float> %t2
  store <8 x float> %t4, <8 x float>* %o
  ret void
}

define void @add_across_1_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 1, i32 0, i32 3, i32 2, i32 5, i32 4, i32 7, i32 6>
  %t3 = fadd <8 x float> %t1, %t2
  store <8 x float> %t3, <8 x float>* %o
  ret void
}

define void @max_across_2_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 2, i32 3, i32 0, i32 1, i32 6, i32 7, i32 4, i32 5>
  %t3 = fcmp ogt <8 x float> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x float> %t1, <8 x float> %t2
  store <8 x float> %t4, <8 x float>* %o
  ret void
}

define void @add_across_2_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 2, i32 3, i32 0, i32 1, i32 6, i32 7, i32 4, i32 5>
  %t3 = fadd <8 x float> %t1, %t2
  store <8 x float> %t3, <8 x float>* %o
  ret void
}

define void @max_across_4_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 0, i32 1, i32 2, i32 3>
  %t3 = fcmp ogt <8 x float> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x float> %t1, <8 x float> %t2
  store <8 x float> %t4, <8 x float>* %o
  ret void
}

define void @add_across_4_v8f32(<8 x float>* %a0, <8 x float>* %o) alwaysinline {
  %t1 = load <8 x float>, <8 x float>* %a0
  %t2 = shufflevector <8 x float> %t1, <8 x float> undef, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 0, i32 1, i32 2, i32 3>
  %t3 = fadd <8 x float> %t1, %t2
  store <8 x float> %t3, <8 x float>* %o
  ret void
}
